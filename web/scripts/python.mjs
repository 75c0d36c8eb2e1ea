// Finds the Python that can run webd, and runs it; one clear line where there is none.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const WEB = dirname(dirname(fileURLToPath(import.meta.url)));
export const ROOT = dirname(WEB);
const NEEDED = "import starlette, uvicorn, webd";

export function die(line) {
  console.error(line);
  process.exit(1);
}

/** The environment in which the product's programs import from this tree. */
function environment() {
  const paths = [join(ROOT, "apps"), join(ROOT, "libs"), process.env.PYTHONPATH];
  return {
    ...process.env,
    PYTHONPATH: paths.filter(Boolean).join(":"),
    BENCHLAB_DATA_ROOT: process.env.BENCHLAB_DATA_ROOT || join(ROOT, ".benchlab"),
  };
}

function tried(python) {
  return spawnSync(python, ["-c", NEEDED], { env: environment(), encoding: "utf8" });
}

/** The first Python that has what webd needs: $PYTHON, the repository's .venv, python3 on PATH. */
export function findPython() {
  const venv = join(ROOT, ".venv", "bin", "python");
  const candidates = [process.env.PYTHON, existsSync(venv) ? venv : null, "python3"].filter(Boolean);
  const reasons = [];
  for (const python of candidates) {
    const done = tried(python);
    if (done.status === 0) return python;
    reasons.push(`${python}: ${done.error?.code ?? done.stderr.trim().split("\n").at(-1)}`);
  }
  return die(
    `no Python that can run webd: found ${reasons.join("; ")}\n` +
      "to mend it, in the repository: python3 -m venv .venv && .venv/bin/pip install -r requirements-web.txt",
  );
}

/** Starts webd on an address; it ends with this process. */
export function startWebd(bind) {
  return spawn(findPython(), ["-m", "webd", "--bind", bind], { cwd: ROOT, env: environment(), stdio: "inherit" });
}

/** Whether a webd answers on a port of this machine. */
export async function answers(port) {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1000) });
    return answer.ok;
  } catch {
    return false;
  }
}

/** Runs children together: when one ends, or a signal comes, all end, and so does this process with its code. */
export function together(children) {
  let ending = false;
  const end = (code) => {
    if (ending) return;
    ending = true;
    process.exitCode = code;
    for (const child of children) if (child.exitCode === null) child.kill("SIGTERM");
  };
  for (const child of children) {
    child.on("exit", (code, signal) => end(code ?? (signal === "SIGTERM" || signal === "SIGINT" ? 0 : 1)));
    child.on("error", (error) => die(`cannot start ${child.spawnfile}: ${error.code}`));
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(0));
}
