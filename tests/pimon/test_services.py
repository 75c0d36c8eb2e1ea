"""Installing and removing the services below a folder; what their units start is what the documents promise."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchlab.cli import free_port
from support.logger_databases import asked
from support.processes import need_psutil_of_debian, until
from support.tree import REPOSITORY, program_env

Component = Callable[[str, str], str]
Launch = Callable[..., "subprocess.Popen[str]"]

UNITS = {"logger": "telemetry-logger.service", "pistat": "pi-stat.service"}
FOLDER = Path("etc/systemd/system")
DATABASE = "/var/lib/telemetry-logger/telemetry.db"


@pytest.fixture
def launch() -> Iterator[Launch]:
    started: list[subprocess.Popen[str]] = []

    def _launch(words: list[str], cwd: Path, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(words, cwd=cwd, env=program_env(**env), stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield _launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run(script: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = REPOSITORY / "scripts" / script
    return subprocess.run([str(path), *words], env={**os.environ, **env}, capture_output=True, text=True, timeout=60)


def install(root: Path, component: str) -> str:
    """Install a component below a folder and return its unit."""
    done = run("install.sh", "--components", component, "--root", str(root), "--user", "pi")
    assert done.returncode == 0, done.stderr
    return (root / FOLDER / UNITS[component]).read_text()


def started_by(unit: str) -> list[str]:
    found = re.findall(r"^ExecStart=(.*)$", unit, flags=re.MULTILINE)
    assert len(found) == 1
    return shlex.split(found[0])


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", UNITS)
def test_the_filled_unit_is_one_that_systemd_understands(name: str, component: Component, tmp_path: Path) -> None:
    analyze = component("systemd-analyze", "systemd")
    unit = install(tmp_path, name)
    assert "{{" not in unit and "User=pi\n" in unit
    # the programs of an installation are not those of a test
    made = tmp_path / UNITS[name]
    made.write_text(
        re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", unit, flags=re.MULTILINE).replace("=pi\n", "=root\n")
    )
    done = subprocess.run([analyze, "verify", str(made)], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if UNITS[name] in line]
    assert (done.returncode, told) == (0, [])


def test_the_logger_s_unit_says_what_its_document_promises(tmp_path: Path) -> None:
    unit = install(tmp_path, "logger")
    assert "StateDirectory=telemetry-logger\n" in unit and "WantedBy=multi-user.target\n" in unit
    python, isolated, script, *flags = started_by(unit)
    assert (python, isolated, script) == ("/usr/bin/python3", "-I", f"{REPOSITORY}/scripts/logger.py")
    assert flags == ["--db", DATABASE, "--interval", "5", "--top-procs", "10", "--power-supply", "auto"]


def test_install_service_installs_the_logger_for_whoever_calls_it(tmp_path: Path) -> None:
    done = run("install_service.sh", "--root", str(tmp_path), SUDO_USER="")
    assert done.returncode == 0, done.stderr
    user = subprocess.check_output(["id", "-un"], text=True).strip()
    assert list(files(tmp_path)) == [str(FOLDER / UNITS["logger"])]
    assert f"User={user}\n" in (tmp_path / FOLDER / UNITS["logger"]).read_text()


def test_under_sudo_the_logger_runs_as_who_called_it(tmp_path: Path) -> None:
    assert run("install_service.sh", "--root", str(tmp_path), SUDO_USER="ada").returncode == 0
    assert "User=ada\n" in (tmp_path / FOLDER / UNITS["logger"]).read_text()


def test_what_the_logger_s_unit_starts_logs(launch: Launch, tmp_path: Path) -> None:
    need_psutil_of_debian()
    database = tmp_path / "telemetry.db"
    words = started_by(install(tmp_path, "logger"))
    words[words.index(DATABASE)] = str(database)
    process = launch(words, tmp_path)
    until(lambda: database.exists() and asked(database, "SELECT name FROM sqlite_master"), 60)
    until(lambda: asked(database, "SELECT COUNT(*) FROM system_sample") != [(0,)], 60)
    process.terminate()
    assert process.wait(60) == 0
    assert asked(database, "SELECT COUNT(*) > 0 FROM process_sample") == [(1,)]


def test_what_the_unit_of_pi_stat_starts_gets_ready_answers_and_writes_nothing(launch: Launch, tmp_path: Path) -> None:
    program, *flags = started_by(install(tmp_path / "root", "pistat"))
    assert (program, flags) == (f"{REPOSITORY}/.venv/bin/pimon", ["--no-record"])
    work, data, port = tmp_path / "work", tmp_path / "data", free_port()
    work.mkdir()
    (work / ".env").write_text(f"PISTAT_PORT={port}\nPISTAT_HOST=127.0.0.1\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        words = [str(Path(sys.executable).with_name("pimon")), *flags]
        process = launch(words, work, NOTIFY_SOCKET=str(tmp_path / "notify"), BENCHLAB_DATA_ROOT=str(data))
        assert b"READY=1" in manager.recv(4096)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            assert json.load(answer)["status"] == "healthy"
        process.terminate()
        assert process.wait(60) == 0
    assert not data.exists() and list(files(work)) == [".env"]


def test_pi_stat_is_where_its_document_removes_it_and_nothing_else_is_left(tmp_path: Path) -> None:
    install(tmp_path, "pistat")
    assert list(files(tmp_path)) == ["etc/systemd/system/pi-stat.service"]


@pytest.mark.parametrize("name", UNITS)
def test_installing_and_removing_twice_is_doing_it_once(name: str, tmp_path: Path) -> None:
    first = install(tmp_path, name)
    assert install(tmp_path, name) == first
    for _ in range(2):
        done = run("uninstall.sh", "--components", name, "--root", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert files(tmp_path) == {}


def test_settings_of_pi_stat_outlive_the_service(tmp_path: Path) -> None:
    install(tmp_path, "pistat")
    settings = tmp_path / "etc/benchlab/pi-stat.env"
    settings.parent.mkdir()
    settings.write_text("PISTAT_PORT=8586\n")
    done = run("uninstall.sh", "--components", "pistat", "--root", str(tmp_path))
    assert done.returncode == 0 and f"{settings} is kept" in done.stderr
    assert list(files(tmp_path)) == ["etc/benchlab/pi-stat.env"]


def test_what_was_logged_outlives_the_service(tmp_path: Path) -> None:
    install(tmp_path, "logger")
    database = tmp_path / DATABASE.lstrip("/")
    database.parent.mkdir(parents=True)
    database.write_text("samples")
    done = run("uninstall.sh", "--components", "logger", "--root", str(tmp_path))
    assert done.returncode == 0 and f"{database.parent} is kept" in done.stderr
    assert database.read_text() == "samples"


def recorder(folder: Path) -> dict[str, str]:
    """Put a systemctl into a folder that only writes down what it is told; return an environment that finds it."""
    program = folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >>{shlex.quote(str(folder / "told"))}\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize("name", UNITS)
def test_below_a_folder_the_running_system_is_not_told(name: str, tmp_path: Path) -> None:
    env = recorder(tmp_path)
    for script in ("install.sh", "uninstall.sh"):
        assert run(script, "--components", name, "--root", str(tmp_path / "root"), **env).returncode == 0
    assert not (tmp_path / "told").exists()


@pytest.mark.parametrize("name", UNITS)
def test_where_systemd_runs_it_is_told_to_start_and_to_forget(name: str, tmp_path: Path) -> None:
    code = f"""
set -euo pipefail
source "$1/components/common.sh"
source "$1/components/{name}.sh"
has_systemd() {{ true; }}
DEST=$2 RUN_AS=pi
install_{name} && uninstall_{name}
"""
    words = ["bash", "-c", code, "bash", str(REPOSITORY / "scripts"), str(tmp_path / "root")]
    done = subprocess.run(words, env={**os.environ, **recorder(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    unit = UNITS[name]
    assert (tmp_path / "told").read_text().splitlines() == [
        "daemon-reload",
        f"enable {unit}",
        f"restart {unit}",
        f"disable --now {unit}",
        "daemon-reload",
        f"reset-failed {unit}",
    ]
    assert not (tmp_path / "root" / FOLDER / unit).exists()
