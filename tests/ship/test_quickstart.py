"""A stranger's machine: the tracked files alone, in a new folder, by the commands that the README shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("quickstart")

REPOSITORY = Path(__file__).resolve().parents[2]
BY_HAND = (REPOSITORY / "README.md").read_text().split("## By hand")[1].split("\n## ")[0]
INSTALL, COLLECT, MUX, EXPORT = re.findall(r"^```bash\n(.*?)^```", BY_HAND, re.MULTILINE | re.DOTALL)
DEFAULT_PORT = 9109
FRAMES = 60
PATIENCE_S = 60

Daemon = subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new folder, with a space in its path, that holds what a clone would hold."""
    folder = tmp_path_factory.mktemp("fresh") / "a clone"
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPOSITORY, text=True).split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def installed(fresh: Path) -> Path:
    """Return the folder after the README's installation; ``python3`` is the Python that runs the tests."""
    done = subprocess.run(["bash", "-ec", INSTALL], cwd=fresh, env=env(fresh), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return fresh


def env(fresh: Path, **extra: str) -> dict[str, str]:
    """Return an environment without this tree and without the venv the tests run in."""
    ours = ("BENCHLAB_", "CX_", "PYTHON", "VIRTUAL_ENV", "PYTEST")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    base_python = Path(getattr(sys, "_base_executable", sys.executable)).parent
    path = f"{base_python}:{os.environ['PATH']}"
    return {**kept, "PATH": path, "XDG_CONFIG_HOME": str(fresh.parent), **extra}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def activated(command: str) -> list[str]:
    return ["bash", "-ec", f"source .venv/bin/activate; exec {command}"]


@contextmanager
def running(commands: list[str], cwd: Path, environ: dict[str, str], log: Path) -> Iterator[list[Daemon]]:
    """Run commands until the end of the block, then stop them as a service manager would."""
    with log.open("wb") as out:
        started = [subprocess.Popen(activated(c), cwd=cwd, env=environ, stdout=out, stderr=out) for c in commands]
    try:
        yield started
        for process in started:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=PATIENCE_S) for process in started]
        assert codes == [0] * len(codes), log.read_text()
    finally:
        for process in started:
            process.kill()


def wait_for_frames(path: Path, daemons: list[Daemon], log: Path) -> None:
    """Wait until enough frames with power have been written."""
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists() or path.read_bytes().count(b'"power_w"') < FRAMES:
        assert time.monotonic() < deadline, log.read_text()
        assert [daemon.poll() for daemon in daemons] == [None] * len(daemons), log.read_text()
        time.sleep(0.2)


def test_commands_of_the_readme_work_as_they_stand(installed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    environ = env(installed, BENCHLAB_DATA_ROOT=str(data), BENCHLAB_PROM=f"127.0.0.1:{free_port()}")
    session, log = data / "sessions" / "dev", tmp_path / "log"
    commands = [*COLLECT.strip().splitlines(), MUX.strip()]
    assert len(commands) == 4
    with running(commands, installed, environ, log) as daemons:
        wait_for_frames(session / "aligned" / "latency.jsonl", daemons, log)
    export = EXPORT.strip().replace("/tmp/", f"{tmp_path}/")
    for command in (export, f"cx_exporter --check {tmp_path}/presentmon.csv", "benchctl verify dev"):
        done = subprocess.run(activated(command), cwd=installed, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert (tmp_path / "presentmon.json").exists()


def dev_run(fresh: Path, *args: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [str(fresh / "scripts" / "dev_run.sh"), *args]
    return subprocess.run(
        command, cwd=cwd, env=env(fresh, **extra), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def test_dev_run_sets_itself_up_records_exports_and_leaves_an_active_venv_alone(fresh: Path, tmp_path: Path) -> None:
    active = tmp_path / "active"
    base_python = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base_python, "-m", "venv", "--without-pip", str(active)], check=True)
    before = sorted(active.rglob("*"))
    path = f"{active}/bin:{os.environ['PATH']}"
    port_offset = str(free_port() - DEFAULT_PORT)
    duration = ("--duration", "6", "--port-offset", port_offset)
    done = dev_run(fresh, *duration, cwd=tmp_path, VIRTUAL_ENV=str(active), PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(active.rglob("*")) == before
    (session,) = (fresh / ".benchlab" / "sessions" / "current").resolve().parent.glob("[0-9]*")
    assert json.loads((session / "session.json").read_text())["closed"] is True
    exports = sorted((session / "cx-export").iterdir())
    assert {path.suffix for path in exports} == {".csv", ".json"}
    assert all(str(path) in done.stdout + done.stderr for path in exports)
