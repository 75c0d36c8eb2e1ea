"""session, mark and verify as the operator types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.clock import boottime_ns
from benchlab.log.writer import LogWriter
from benchlab.session import new_session, open_session

Benchctl = Callable[..., "subprocess.CompletedProcess[str]"]


def test_new_session_is_current_and_printed_alone_on_stdout(benchctl: Benchctl, tmp_path: Path) -> None:
    done = benchctl("session", "new", "lab-1")
    assert (done.returncode, done.stdout) == (0, "lab-1\n")
    assert open_session(tmp_path, create=False).name == "lab-1"


@pytest.mark.parametrize("name", ["..", "a/b", "../x", "current", "a" * 65])
def test_session_name_that_is_a_path_is_refused(benchctl: Benchctl, tmp_path: Path, name: str) -> None:
    done = benchctl("session", "new", name)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "sessions").exists()


def test_name_that_is_taken_is_refused(benchctl: Benchctl) -> None:
    benchctl("session", "new", "lab-1")
    done = benchctl("session", "new", "lab-1")
    assert done.returncode == 2
    assert "exists already" in done.stderr


def test_two_different_names_are_a_usage_error(benchctl: Benchctl) -> None:
    assert benchctl("session", "new", "a", "--session", "b").returncode == 2


def test_list_without_sessions_says_how_to_make_one(benchctl: Benchctl) -> None:
    done = benchctl("session", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "benchctl session new" in done.stderr
    assert json.loads(benchctl("session", "list", "--json").stdout) == []


def test_list_tells_open_closed_bare_and_unreadable_sessions(benchctl: Benchctl, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        new_session(tmp_path, name)
    open_session(tmp_path, "one", create=False).close(1)
    (tmp_path / "sessions" / "two" / "session.json").write_text("{torn")
    (tmp_path / "sessions" / "four" / "raw").mkdir(parents=True)
    rows = json.loads(benchctl("session", "list", "--json").stdout)
    assert {row["name"]: row["state"] for row in rows} == {
        "one": "closed",
        "two": "unreadable",
        "three": "open",
        "four": "bare",
    }
    assert [row["name"] for row in rows if row["current"]] == ["three"]
    table = benchctl("session", "list").stdout.splitlines()
    assert len(table) == 5
    assert any(line.startswith("three (current)") for line in table)


def test_show_names_the_files_of_a_session(benchctl: Benchctl, tmp_path: Path) -> None:
    session = new_session(tmp_path, "lab-1")
    (session.raw / "telemetry.jsonl").write_bytes(b"12345\n")
    shown = json.loads(benchctl("session", "show", "--json").stdout)
    assert (shown["id"], shown["state"], shown["files"]) == ("lab-1", "open", {"raw/telemetry.jsonl": 6})
    assert "raw/telemetry.jsonl" in benchctl("session", "show", "lab-1").stdout


def test_session_that_is_not_there_names_those_that_are(benchctl: Benchctl, tmp_path: Path) -> None:
    new_session(tmp_path, "lab-1")
    done = benchctl("session", "show", "lab-2")
    assert done.returncode == 5
    assert "lab-1" in done.stderr


def test_pin_and_unpin(benchctl: Benchctl, tmp_path: Path) -> None:
    new_session(tmp_path, "lab-1")
    assert benchctl("session", "pin", "lab-1").returncode == 0
    assert open_session(tmp_path, "lab-1", create=False).info.pinned
    assert benchctl("session", "unpin", "lab-1").returncode == 0
    assert not open_session(tmp_path, "lab-1", create=False).info.pinned


def test_close_twice_keeps_the_first_end(benchctl: Benchctl, tmp_path: Path) -> None:
    new_session(tmp_path, "lab-1")
    assert benchctl("session", "close", "lab-1").returncode == 0
    first = open_session(tmp_path, "lab-1", create=False).info.closed_ns
    done = benchctl("session", "close", "lab-1")
    assert done.returncode == 0
    assert "closed already" in done.stdout
    assert open_session(tmp_path, "lab-1", create=False).info.closed_ns == first


def test_options_stand_before_or_after_the_command(benchctl: Benchctl, tmp_path: Path) -> None:
    new_session(tmp_path / "elsewhere", "there")
    elsewhere = ("--data-root", str(tmp_path / "elsewhere"))
    for words in ((*elsewhere, "session", "list"), ("session", "list", *elsewhere)):
        assert "there" in benchctl(*words).stdout


def test_name_behind_two_dashes_is_the_one_that_is_closed(benchctl: Benchctl, tmp_path: Path) -> None:
    for name in ("-old", "now"):
        new_session(tmp_path, name)
    assert benchctl("session", "close", "--", "-old").returncode == 0
    assert open_session(tmp_path, "-old", create=False).info.closed
    assert not open_session(tmp_path, "now", create=False).info.closed


def test_unknown_command_is_a_usage_error_and_help_lists_all(benchctl: Benchctl) -> None:
    assert benchctl("frobnicate").returncode == 2
    assert benchctl().returncode == 2
    overview = benchctl("--help").stdout
    for command in ("session", "verify", "tail", "record", "mark", "demo"):
        assert f"\n  {command} " in overview
        assert "examples:" in benchctl(command, "--help").stdout


def test_mark_is_one_event_between_start_and_stop(benchctl: Benchctl, tmp_path: Path) -> None:
    session = new_session(tmp_path)
    assert benchctl("mark", "fan", "turned up").returncode == 0
    assert benchctl("mark", "--", "--loud", "now").returncode == 0
    lines = [json.loads(line) for line in (session.raw / "bookmarks.jsonl").read_text().splitlines()]
    assert [line["kv"].get("event", line["kv"].get("text")) for line in lines] == [
        "start",
        "fan turned up",
        "stop",
        "start",
        "--loud now",
        "stop",
    ]
    assert [line["seq"] for line in lines] == [0, 1, 2, 3, 4, 5]
    assert lines[1]["source"] == "bookmark"
    assert benchctl("verify").returncode == 0


@pytest.mark.parametrize("text", ["", "   ", "x" * 4097])
def test_mark_without_text_or_with_too_much_is_refused(benchctl: Benchctl, tmp_path: Path, text: str) -> None:
    session = new_session(tmp_path)
    assert benchctl("mark", text).returncode == 2
    assert not (session.dir / "raw" / "bookmarks.jsonl").exists()


def test_mark_without_a_session_makes_none(benchctl: Benchctl, tmp_path: Path) -> None:
    done = benchctl("mark", "hello")
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "sessions").exists()


def test_mark_in_a_closed_session_is_refused(benchctl: Benchctl, tmp_path: Path) -> None:
    session = new_session(tmp_path)
    session.close(1)
    done = benchctl("mark", "hello")
    assert done.returncode == 5
    assert "closed" in done.stderr
    assert not (session.dir / "raw" / "bookmarks.jsonl").exists()


def test_mark_beside_another_writer_names_it(benchctl: Benchctl, tmp_path: Path) -> None:
    session = new_session(tmp_path)
    lock = session.state / "bookmarks.lock"
    writer = LogWriter(session.raw / "bookmarks.jsonl", lock, clock=boottime_ns)
    done = benchctl("mark", "hello")
    writer.stop()
    assert done.returncode == 5
    assert str(os.getpid()) in done.stderr


def test_verify_of_a_damaged_session_exits_1_and_names_the_place(benchctl: Benchctl, tmp_path: Path) -> None:
    raw = tmp_path / "sessions" / "dev" / "raw"
    raw.mkdir(parents=True)
    (raw / "telemetry.jsonl").write_bytes(b'{"ts_ns":1,"source":"x","kv":{}}\n\xff\n')
    done = benchctl("verify", "dev")
    assert done.returncode == 1
    assert "bad_line: telemetry.jsonl:2 (byte 33): not_utf8" in done.stdout
    report = json.loads(benchctl("verify", "dev", "--json").stdout)
    assert report["balanced"] is False
    assert [(finding["file"], finding["line"]) for finding in report["findings"]] == [("telemetry.jsonl", 2)]


def test_verify_changes_nothing_in_the_session(benchctl: Benchctl, tmp_path: Path) -> None:
    raw = tmp_path / "sessions" / "dev" / "raw"
    raw.mkdir(parents=True)
    (raw / "telemetry.jsonl").write_bytes(b'{"ts_ns":1,"source":"x","kv":{}}\n')
    assert benchctl("verify", "dev").returncode == 0
    assert [path.name for path in (tmp_path / "sessions" / "dev").rglob("*")] == ["raw", "telemetry.jsonl"]


def test_verify_without_a_session_is_one_line(benchctl: Benchctl) -> None:
    done = benchctl("verify", "ghost")
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1


def test_verify_of_a_name_with_dots_is_refused(benchctl: Benchctl) -> None:
    assert benchctl("verify", "..").returncode == 2


def test_module_runs_as_a_script_too(tmp_path: Path) -> None:
    main = Path(__file__).resolve().parents[2] / "apps" / "benchctl" / "main.py"
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, str(main), "--data-root", str(tmp_path), "session", "list"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
