"""muxd as an operator meets it: its exit codes, its one-line messages, its ways to begin and to end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.cli import free_port
from benchlab.event import Event, encode_lines
from benchlab.log.vouched import read_vouched
from benchlab.log.writer import LogWriter
from benchlab.session import Session, open_session
from support.isolation import in_namespace
from support.mux_sessions import append, record, rows, stage, usual_run, written
from support.processes import ended, until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

FRAMES = 30


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = open_session(tmp_path, "s")
    record(made, usual_run(FRAMES))
    return made


@pytest.fixture
def muxd(tmp_path: Path, run: Run) -> Run:
    """Run muxd on the session ``s`` to its end."""

    def _muxd(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        bind = f"127.0.0.1:{free_port()}"
        return run("muxd", "--data-root", str(tmp_path), "--session", "s", "--prom-bind", bind, *words, **env)

    return _muxd


@pytest.fixture
def live(tmp_path: Path, start: Start) -> Start:
    """Start muxd on the session ``s``, and wait until it has taken up its work."""

    def _live(*words: str, **env: str) -> subprocess.Popen[bytes]:
        bind = f"127.0.0.1:{free_port()}"
        process = start("muxd", "--data-root", str(tmp_path), "--session", "s", "--prom-bind", bind, *words, **env)
        until(lambda: (tmp_path / "sessions/s/state/mux.json").exists() or process.poll() is not None)
        return process

    return _live


def assert_told(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """The program ended with this code and one line that holds all parts."""
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout, done.stderr
    for part in parts:
        assert part in done.stderr


def test_closed_session_is_processed_to_its_end(session: Session, muxd: Run) -> None:
    session.close(1)
    done = muxd()
    assert done.returncode == 0, done.stderr
    found = read_vouched(session.state)
    assert found is not None and found.final
    assert len(rows(session)) == FRAMES
    assert muxd("--replay").returncode == 0
    assert muxd().returncode == 0


def test_bare_folder_is_a_session_and_gets_only_what_muxd_writes(tmp_path: Path, muxd: Run) -> None:
    bare = tmp_path / "sessions/s"
    (bare / "raw").mkdir(parents=True)
    for name, events in usual_run(FRAMES).items():
        (bare / "raw" / f"{name}.jsonl").write_bytes(encode_lines(events))
    assert muxd().returncode == 0
    assert {path.name for path in bare.iterdir()} == {"raw", "aligned", "state"}
    assert (bare / "aligned/latency.jsonl").read_bytes().count(b'"energy_j"') == FRAMES
    assert muxd("--replay").returncode == 0


def test_once_on_an_open_session_then_more_then_again(session: Session, muxd: Run) -> None:
    assert muxd("--once").returncode == 0
    assert len(rows(session)) == FRAMES
    append(session, "pipeline", [stage(690, "ingress", 99)])
    append(session, "pipeline", [stage(699, "encoded", 99)])
    assert muxd("--once").returncode == 0
    assert [row["kv"]["frame"] for row in rows(session)] == [*range(FRAMES), 99]
    append(session, "pipeline", [stage(3000, "ingress", 100)])
    assert muxd("--once").returncode == 0
    assert rows(session)[-1]["kv"]["reason"] == "open_at_end"
    session.close(1)
    assert muxd().returncode == 0
    assert muxd("--replay").returncode == 0


def test_replay_finds_a_changed_byte_and_write_mends_it(session: Session, muxd: Run) -> None:
    session.close(1)
    assert muxd().returncode == 0
    before, path = written(session), session.aligned / "latency.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"lat_ms":10.0', b'"lat_ms":11.0', 1))
    done = muxd("--replay")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("latency.jsonl: differs from its replay at line 1, byte ")
    assert muxd("--replay", "--write").returncode == 0
    assert muxd("--replay").returncode == 0
    assert written(session) == before


def test_bad_lines_never_change_the_exit_code(session: Session, muxd: Run) -> None:
    append(session, "pipeline", b"garbage\n\xff\xff\n{}\n")
    session.close(1)
    assert muxd().returncode == 0
    assert muxd("--replay").returncode == 0


@pytest.mark.parametrize("name", ["../s", "a/b", "..", ".", "/etc", "x" * 65, "a b"])
def test_session_name_that_is_a_path_is_a_usage_error(name: str, tmp_path: Path, run: Run) -> None:
    done = run("muxd", "--data-root", str(tmp_path), "--session", name, "--once")
    assert_told(done, 2, "muxd: session name", "a name is not a path")
    assert not list(tmp_path.iterdir())


def test_pair_of_a_stage_with_itself_is_a_usage_error(muxd: Run) -> None:
    assert_told(muxd("--pair", "a", "a"), 2, "--pair a a", "expected two different stages")


def test_pair_given_twice_is_a_usage_error(muxd: Run) -> None:
    assert_told(muxd("--pair", "a", "b", "--pair", "a", "b"), 2, "--pair a b", "expected each pair once")


def test_replay_of_a_session_that_is_not_there_lists_those_that_are(session: Session, tmp_path: Path, run: Run) -> None:
    done = run("muxd", "--data-root", str(tmp_path), "--session", "t", "--replay")
    assert_told(done, 5, "no session t", "there are s")


def test_second_muxd_on_a_session_is_told_to_add_its_pair_to_the_first(
    session: Session, live: Start, muxd: Run
) -> None:
    first = live()
    for more in ((), ("--once",), ("--replay", "--write")):
        assert_told(muxd(*more), 5, f"muxd (pid {first.pid})", "mux.lock", "add your --pair")
    first.terminate()
    assert ended(first)[0] == 0


def test_taken_port_names_its_owner_and_what_to_change(session: Session, muxd: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = muxd("--prom-bind", f"127.0.0.1:{port}")
    assert_told(done, 5, f"127.0.0.1:{port} is taken by", f"pid {os.getpid()}")
    assert "--prom-bind" in done.stderr and "[prometheus].bind" in done.stderr
    assert not (session.state / "mux.json").exists() or read_vouched(session.state)


@pytest.mark.parametrize("bind", ["9109", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_address_that_is_none_is_refused_before_anything_is_done(bind: str, session: Session, muxd: Run) -> None:
    done = muxd("--prom-bind", bind)
    assert done.returncode in (2, 3) and done.stderr.count("\n") == 1 and bind in done.stderr


def test_changed_pairs_on_trimmed_raw_exit_5_with_aligned_untouched(session: Session, muxd: Run) -> None:
    session.close(1)
    assert muxd().returncode == 0
    before = written(session)
    path = session.raw / "pipeline.jsonl"
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    done = muxd("--pair", "encoded", "inference_done")
    assert done.returncode == 5
    assert "pipeline.jsonl does not begin with its first line" in done.stderr
    assert "aligned/ is left as it is" in done.stderr
    assert written(session) == before


def test_unknown_stages_are_told_after_five_seconds(session: Session, live: Start) -> None:
    process = live("--pair", "ingres", "encoded", "--pair", "ingress", "encoded", "--pair", "x", "y")
    time.sleep(6)
    process.terminate()
    code, _, err = ended(process)
    told = [line for line in err.splitlines() if "no pair" in line]
    assert code == 0 and len(told) == 2, err
    assert "no pair ingres to encoded yet: never seen: ingres; stages seen: encoded, ingress" in told[0]
    assert "never seen: x, y" in told[1]


def test_terminated_muxd_vouches_for_all_it_did(session: Session, live: Start) -> None:
    process = live()
    until(lambda: (session.aligned / "latency.jsonl").stat().st_size)
    process.terminate()
    assert ended(process)[0] == 0
    found = read_vouched(session.state)
    assert found is not None and not found.final and found.outputs["latency.jsonl"] > 0


def test_writer_that_stops_and_comes_back_is_one_stream(session: Session, live: Start, muxd: Run) -> None:
    process = live()
    clock = session.clock()
    for frame in (1000, 1001):
        log = LogWriter(session.raw / "probe.jsonl", session.state / "probe.lock", clock=clock.now_ns)
        log.start({"disorder_ms": 0})
        for name in ("ingress", "encoded"):
            log.write([Event(clock.now_ns(), "pipeline", {"stage": name, "frame": frame})])
        log.stop()
        needle = b'"frame":%d' % frame
        until(lambda needle=needle: needle in (session.aligned / "latency.jsonl").read_bytes(), 10)  # type: ignore[misc]
    session.close(1)
    code, _, err = ended(process)
    assert code == 0, err
    assert muxd("--replay").returncode == 0


READ_ONLY = """
import subprocess, sys
for more in ([], ["--once"], ["--replay"], ["--replay", "--write"]):
    words = [sys.executable, "-m", "muxd", "--data-root", sys.argv[1], "--session", "s", "--prom-bind", "127.0.0.1:0"]
    done = subprocess.run([*words, *more], capture_output=True, text=True, timeout=20)
    print(done.returncode, done.stdout, done.stderr.count("\\n"), "read-only" in done.stderr, "--pair" in done.stderr)
"""


def test_read_only_data_root_is_one_clear_line_and_can_be_replayed(session: Session, muxd: Run, tmp_path: Path) -> None:
    session.close(1)
    assert muxd().returncode == 0
    read_only = 'mount --bind "$2" "$2"; mount -o remount,ro,bind "$2"'
    done = in_namespace(read_only, READ_ONLY, tmp_path)
    refused = "5  1 True False"
    assert done.stdout.splitlines() == [refused, refused, "0  0 False False", refused], done.stdout + done.stderr


def test_read_only_data_root_without_the_session_is_one_clear_line(tmp_path: Path) -> None:
    read_only = 'mount --bind "$2" "$2"; mount -o remount,ro,bind "$2"'
    done = in_namespace(read_only, READ_ONLY.replace(', ["--replay"], ["--replay", "--write"]', ""), tmp_path)
    assert done.stdout.splitlines() == ["5  1 True False"] * 2, done.stdout + done.stderr
