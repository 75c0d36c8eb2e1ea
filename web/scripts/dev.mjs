// npm run dev: the dashboard on :3010, rebuilt as its sources change; webd on :3011 unless one answers there.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { answers, die, startWebd, together, WEB } from "./python.mjs";

const PORT = process.env.PORT ?? "3010";
const API_PORT = process.env.BENCHLAB_API_PORT ?? "3011";
const next = join(WEB, "node_modules", "next", "dist", "bin", "next");

if (!existsSync(next)) die("the dashboard's packages are not there: run `npm ci` first");
const children = [];
if (await answers(API_PORT)) console.log(`webd answers on :${API_PORT}, taking that one`);
else children.push(startWebd(`127.0.0.1:${API_PORT}`));
const env = { ...process.env, BENCHLAB_API: `http://127.0.0.1:${API_PORT}`, NEXT_TELEMETRY_DISABLED: "1" };
children.push(spawn(process.execPath, [next, "dev", "-p", PORT, "-H", "127.0.0.1"], { cwd: WEB, env, stdio: "inherit" }));
together(children);
