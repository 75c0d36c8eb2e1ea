"""record with the real programs: a whole run, and everything that can go wrong in one."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchctl.audit import audit_session
from benchlab.event import Event
from benchlab.log.reader import StreamReader
from benchlab.session import open_session
from support.processes import ended, sessions, survivors

Start = Callable[..., "subprocess.Popen[bytes]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
PAIR = ("ingress", "encoded")


def test_record_passes_the_session_on_and_the_exit_code_back(run: Run, tmp_path: Path, bind: str) -> None:
    benchctl = shlex.join([sys.executable, "-m", "benchctl"])
    script = f"{benchctl} mark inside && echo $BENCHLAB_SESSION && sleep 2 && exit 7"
    collectors = ("--with", "benchlabd --simulate --hz 20", "--with", "r5c_capture --simulate")
    options = ("--data-root", str(tmp_path), "--session", "run-1", "--prom-bind", bind)
    done = run("benchctl", "record", *options, *collectors, "--json", "--", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    *printed, summary = done.stdout.splitlines()
    assert printed == ["marked in session run-1: inside", "run-1"]
    document = json.loads(summary)
    assert (document["session"], document["exit_code"], document["simulated"]) == ("run-1", 7, True)
    assert document["pairs"][0]["pairs"] > 20
    assert document["energy_j"] > 0
    assert [Path(file).suffix for file in document["exports"]] == [".csv", ".json"]
    session = open_session(tmp_path, "run-1", create=False)
    assert audit_session(session.dir, closed=session.info.closed).findings == []
    with StreamReader(session.raw / "bookmarks.jsonl", Event) as reader:
        assert [event.kv.get("text") for event in reader.read().rows] == [None, "inside", None]


def test_record_without_pairs_has_nothing_to_export_and_succeeds(run: Run, tmp_path: Path, bind: str) -> None:
    done = run("benchctl", "record", "--data-root", str(tmp_path), "--prom-bind", bind, "--", "true")
    assert done.returncode == 0, done.stderr
    assert "pairs      none" in done.stderr
    assert "export" not in done.stderr


def test_stop_of_record_stops_the_command_and_closes_the_session(start: Start, tmp_path: Path, bind: str) -> None:
    script = "import time; print('up', flush=True); time.sleep(60)"
    options = ("--data-root", str(tmp_path), "--prom-bind", bind, "--with", "benchlabd --simulate")
    record = start("benchctl", "record", *options, "--", sys.executable, "-c", script)
    assert record.stdout is not None
    assert record.stdout.readline() == b"up\n"
    record.send_signal(signal.SIGTERM)
    code, _, err = ended(record)
    assert code == 128 + signal.SIGTERM, err
    assert open_session(tmp_path, create=False).info.closed
    assert survivors(tmp_path) == []


def test_collector_that_dies_at_once_keeps_the_command_from_running(run: Run, tmp_path: Path, bind: str) -> None:
    mark = tmp_path / "ran"
    options = ("--data-root", str(tmp_path), "--prom-bind", bind, "--with", "telemetryd --hz nonsense")
    done = run("benchctl", "record", *options, "--", "touch", str(mark))
    assert done.returncode == 5
    assert "telemetryd (pid" in done.stderr
    assert "invalid float value: 'nonsense'" in done.stderr
    assert "touch was not run" in done.stderr
    assert not mark.exists()
    assert survivors(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no command given"),
        (("--",), "no command given"),
        (("--", "/no/such/program"), "found no program /no/such/program"),
        (("--with", "sh", "--", "true"), "--with: found sh, expected one of telemetryd"),
        (("--with", "'", "--", "true"), "expected a collector and its options"),
        (("--with", "", "--", "true"), "expected a collector and its options"),
        (("--session", "a/b", "--", "true"), "a/b"),
    ],
)
def test_record_that_makes_no_sense_records_nothing(
    run: Run, tmp_path: Path, bind: str, words: tuple[str, ...], said: str
) -> None:
    done = run("benchctl", "record", "--data-root", str(tmp_path), "--prom-bind", bind, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert sessions(tmp_path) == []
