"""The stand-alone logger as a program, with Debian's python3 and python3-psutil and nothing else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.logger_databases import SCHEMAS, asked, original, sound
from support.processes import need_psutil_of_debian, until
from support.tree import REPOSITORY, program_env

PYTHON = "/usr/bin/python3"
SCRIPT = REPOSITORY / "scripts" / "logger.py"
Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def psutil_of_debian() -> None:
    need_psutil_of_debian()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    started: list[subprocess.Popen[str]] = []

    def _launch(*args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [PYTHON, "-I", str(SCRIPT), "--db", "t.db", "--interval", "1", *map(str, args)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield _launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def count(path: Path) -> int:
    try:
        return int(asked(path, "SELECT COUNT(*) FROM system_sample")[0][0])
    except sqlite3.OperationalError:
        return 0


def has_more(path: Path, than: int) -> bool:
    return count(path) > than


def test_nothing_but_the_standard_library_and_psutil_is_loaded() -> None:
    code = """
import sys
before = set(sys.modules)
import pimon.logger, pimon.logger_sampler
found = {name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(*sorted(found))
"""
    done = subprocess.run([PYTHON, "-c", code], env=program_env(), capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["benchlab", "pimon", "psutil"], "")


def test_samples_of_this_machine_are_stored_until_it_is_told_to_stop(launch: Launch, tmp_path: Path) -> None:
    process = launch("--top-procs", 3, "--power-supply", "none", "--verbose")
    until(lambda: count(tmp_path / "t.db") >= 2, 60)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert not (tmp_path / "t.db-wal").exists()
    samples = count(tmp_path / "t.db")
    assert len(err.splitlines()) == samples
    assert asked(tmp_path / "t.db", "SELECT DISTINCT COUNT(*) FROM cpu_core GROUP BY ts") == [(os.cpu_count(),)]
    assert asked(tmp_path / "t.db", "SELECT DISTINCT COUNT(*) FROM process_sample GROUP BY ts") == [(3,)]
    rows = asked(tmp_path / "t.db", "SELECT ts, ts_ns, cpu_total, power, node FROM system_sample ORDER BY ts")
    assert all(ts == ts_ns // 10**9 and 0 <= cpu <= 100 and power is None for ts, ts_ns, cpu, power, _ in rows)
    assert {node for *_, node in rows} == {os.uname().nodename}
    assert sound(tmp_path / "t.db")


def test_a_busy_process_is_named_by_its_program_with_its_share_of_one_core(launch: Launch, tmp_path: Path) -> None:
    busy = subprocess.Popen([PYTHON, "-c", "while True: pass", "secret"])
    try:
        launch("--top-procs", 50)
        query = f"SELECT name, cpu FROM process_sample WHERE pid = {busy.pid} AND cpu > 5"
        until(lambda: count(tmp_path / "t.db") and asked(tmp_path / "t.db", query), 60)
    finally:
        busy.kill()
        busy.wait()
    assert asked(tmp_path / "t.db", query)[0][0].startswith("python3")
    assert asked(tmp_path / "t.db", "SELECT * FROM process_sample WHERE name LIKE '%secret%'") == []


def test_killed_again_and_again_the_database_stays_sound_and_whole(launch: Launch, tmp_path: Path) -> None:
    path = original(tmp_path / "t.db", SCHEMAS["battery_pct last"], [1_700_000_000])
    for _ in range(4):
        before = count(path)
        process = launch()
        until(partial(has_more, path, before), 60)
        time.sleep(0.03)
        process.kill()
        process.wait()
    assert sound(path)
    assert count(path) >= 5
    without = "SELECT ts FROM system_sample EXCEPT SELECT ts FROM cpu_core"
    assert asked(path, without) == []
    keys = [ts for (ts,) in asked(path, "SELECT ts FROM system_sample ORDER BY rowid")]
    assert keys == sorted(set(keys))


def test_interrupted_it_ends_as_interrupted(launch: Launch, tmp_path: Path) -> None:
    process = launch()
    until(lambda: count(tmp_path / "t.db"), 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def refused(tmp_path: Path, *args: str) -> tuple[int, str]:
    done = subprocess.run([PYTHON, "-I", SCRIPT, *args], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("interval", ["0.5", "0", "-3", "nan", "inf"])
def test_an_interval_under_a_second_is_refused_in_the_words_of_the_original(tmp_path: Path, interval: str) -> None:
    code, said = refused(tmp_path, "--db", "t.db", f"--interval={interval}")
    assert code == 2
    assert "ValueError: interval must be >= 1 second (schema uses epoch seconds as primary key)\n" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--interval", "soon"], 2, "invalid float value: 'soon'"),
        (["--top-procs", "-1"], 2, "expected"),
        (["--db", "nowhere/t.db"], 5, "found no folder nowhere, expected one"),
        (["--db", "."], 5, "Is a directory"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path: Path, args: list[str], code: int, said: str) -> None:
    found, line = refused(tmp_path, "--power-supply", "none", *args)
    assert found == code
    assert said in line and line.count("\n") == 1


def test_a_battery_that_is_not_there_is_named_with_what_there_is(launch: Launch, tmp_path: Path) -> None:
    process = launch("--power-supply", "BAT7")
    assert process.stderr is not None
    assert "no power supply BAT7 (found: " in process.stderr.readline()
    until(lambda: count(tmp_path / "t.db"), 60)
    assert asked(tmp_path / "t.db", "SELECT DISTINCT voltage, current, power, battery_pct FROM system_sample") == [
        (None, None, None, None)
    ]


def test_the_documented_command_line_works() -> None:
    """``python -m pimon --db ...`` is the logger, and loads no more than it."""
    command = [PYTHON, "-m", "pimon", "--db", "t.db", "--interval", "0"]
    done = subprocess.run(command, env=program_env(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "interval must be >= 1 second" in done.stderr
