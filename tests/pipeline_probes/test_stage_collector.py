"""pipeline_probes as the collector of stages that programs send: killed, stopped, refused, and in a recording."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from msgspec import json

from benchlab.catalog import unknown_keys
from benchlab.event import META, Event
from support.processes import Run, Start, until
from support.stage_programs import events_of, finished, gaps_of, program, recorded
from support.tree import REPOSITORY, program_env

COLLECTOR = "pipeline_probes"
PACED = """
import sys, time, benchlab
for line in sys.stdin:
    first, last = map(int, line.split())
    for frame in range(first, last):
        benchlab.stage("ingress", frame=frame)
        if len(sys.argv) > 1: time.sleep(float(sys.argv[1]))
    print("done", flush=True)
"""


@pytest.fixture
def collect(start: Start, path: str, tmp_path: Path, raw: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Start the collector and wait until it records."""

    def _collect() -> subprocess.Popen[bytes]:
        before = len(events_of(raw / "pipeline.jsonl"))
        process = start(COLLECTOR, "--data-root", str(tmp_path), "--session", "s", "--listen", path)
        until(lambda: len(events_of(raw / "pipeline.jsonl")) > before)
        return process

    return _collect


Collect = Callable[[], "subprocess.Popen[bytes]"]


def call(process: subprocess.Popen[str], first: int, last: int) -> None:
    """Have a program reach the stage with the frames from first up to last, and wait until it has."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{first} {last}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def frames(path: Path) -> list[int]:
    return [event.kv["frame"] for event in recorded(path)]


def lost(path: Path) -> int:
    return sum(gap["n"] for gap in gaps_of(path) if gap["why"] == "stages_lost")


def test_every_stage_of_many_programs_is_in_the_stream_in_time(collect: Collect, path: str, raw: Path) -> None:
    collector = collect()
    running = [program(PACED, path, 0.0005) for _ in range(6)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("0 1000\n")
        process.stdin.flush()
    until(lambda: len(recorded(raw / "pipeline.jsonl")) + lost(raw / "pipeline.jsonl") >= 6_000)
    for process in running:
        finished(process)
    collector.send_signal(signal.SIGTERM)
    assert collector.wait(60) == 0
    events = events_of(raw / "pipeline.jsonl")
    assert sorted(frames(raw / "pipeline.jsonl")) == sorted([*range(1000)] * 6)
    assert gaps_of(raw / "pipeline.jsonl") == []
    assert [event.seq for event in events] == list(range(len(events)))
    assert events[-1].kv == {"event": "stop"}
    assert [unknown_keys(e.source, e.kv.items()) for e in events if e.source != META] == [[]] * (len(events) - 2)
    assert not Path(path).exists()


def test_stages_flow_again_after_a_kill_and_what_was_lost_is_counted(collect: Collect, path: str, raw: Path) -> None:
    stream = raw / "pipeline.jsonl"
    first = collect()
    sender = program(PACED, path)
    call(sender, 0, 100)
    until(lambda: len(frames(stream)) == 100)
    first.kill()
    first.wait()
    call(sender, 100, 1000)
    collect()
    sent = 1000

    def flows() -> bool:
        nonlocal sent
        call(sender, sent, sent + 1)
        sent += 1
        return len(frames(stream)) > 100

    until(flows)
    call(sender, sent, sent + 1)
    finished(sender)
    until(lambda: frames(stream)[-1] == sent and len(frames(stream)) + lost(stream) == sent + 1)
    assert lost(stream) >= 900
    (told,) = [gap["sender"] for gap in gaps_of(stream) if gap["why"] == "stages_lost"]
    assert str(sender.pid) in told


def test_collector_that_stood_still_takes_up_what_waited_and_counts_the_rest(
    collect: Collect, path: str, raw: Path
) -> None:
    stream = raw / "pipeline.jsonl"
    collector = collect()
    sender = program(PACED, path)
    call(sender, 0, 100)
    until(lambda: len(frames(stream)) == 100)
    collector.send_signal(signal.SIGSTOP)
    sent = 1_000_000  # 60 MB of lines
    call(sender, 100, sent)
    collector.send_signal(signal.SIGCONT)
    until(lambda: len(frames(stream)) + lost(stream) == sent)
    came = frames(stream)
    assert lost(stream) > 0
    assert came == sorted(set(came))
    assert came[-1] == sent - 1
    finished(sender)


def test_junk_is_told_and_the_rest_goes_on(collect: Collect, path: str, raw: Path) -> None:
    stream = raw / "pipeline.jsonl"
    collect()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(path)
        sock.send(b'{"stage":"ingress","frame":1}\nnonsense\n{"stage":"ingress","frame":2}\n' + b"x" * 9000)
    until(lambda: len(frames(stream)) == 2 and gaps_of(stream))
    (gap,) = gaps_of(stream)
    assert (gap["n"], gap["why"], gap["sender"]) == (2, "malformed_stage", f"pid {os.getpid()}")
    assert "found 'nonsense'" in gap["detail"]


def test_bookmarks_go_where_those_of_benchctl_go(
    collect: Collect, run: Run, path: str, tmp_path: Path, raw: Path
) -> None:
    collect()
    finished(program("import benchlab; benchlab.bookmark('one'); benchlab.bookmark('two')", path))
    stream = raw / "bookmarks.jsonl"

    def texts() -> list[str]:
        return [event.kv["text"] for event in events_of(stream) if event.source == "bookmark"]

    until(lambda: texts() == ["one", "two"])
    assert run("benchctl", "mark", "--data-root", str(tmp_path), "--session", "s", "three").returncode == 0
    finished(program("import benchlab; benchlab.bookmark('four')", path))
    until(lambda: texts() == ["one", "two", "three", "four"])


def test_second_collector_on_the_same_socket_is_refused_before_it_makes_a_session(
    collect: Collect, run: Run, path: str, tmp_path: Path
) -> None:
    first = collect()
    done = run(COLLECTOR, "--data-root", str(tmp_path / "other"), "--listen", path)
    assert done.returncode == 5
    assert done.stderr == (
        f"pipeline_probes: {path}.lock is held by pipeline_probes, which listens on {path} (pid {first.pid}): "
        "stop it first\n"
    )
    assert not (tmp_path / "other").exists()


def test_path_that_is_too_long_is_one_sentence(run: Run, tmp_path: Path) -> None:
    done = run(COLLECTOR, "--data-root", str(tmp_path), "--listen", "/tmp/" + "x" * 110)
    assert done.returncode == 2
    assert "--listen" in done.stderr and "at most 107" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def looked(start: Start, path: str, line: bytes, code: int, *flags: str) -> str:
    """Send a line while ``--once`` looks, until it was in time for it; return what is printed."""
    for _ in range(10):
        look = start(COLLECTOR, "--once", *flags, BENCHLAB_STAGE_SOCKET=path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            until(partial(_sent, sock, path, line, look))
        out, _ = look.communicate(timeout=60)
        if f"nobody sent a stage to {path}" not in out.decode() or "what came" in out.decode():
            break
    assert look.returncode == code
    return out.decode()


def _sent(sock: socket.socket, path: str, line: bytes, look: subprocess.Popen[bytes]) -> bool:
    try:
        sock.connect(path)
        sock.send(line)
    except OSError:
        return look.poll() is not None
    return True


def test_once_shows_what_is_sent_meanwhile(start: Start, path: str) -> None:
    printed = looked(start, path, b'{"stage":"ingress","frame":17}', 0, "--json")
    assert json.decode(printed, type=Event).kv == {"stage": "ingress", "frame": 17}
    assert not Path(path).exists()


def test_once_says_what_is_wrong_with_what_is_sent(start: Start, path: str) -> None:
    printed = looked(start, path, b"nonsense", 4)
    assert f"pipeline: absent: nobody sent a stage to {path}; what came: found 'nonsense'" in printed


def test_once_says_that_nobody_sends_and_how_to(run: Run, path: str) -> None:
    done = run(COLLECTOR, "--once", "--json", BENCHLAB_STAGE_SOCKET=path)
    assert done.returncode == 4
    event = json.decode(done.stdout, type=Event)
    assert event.kv["reason"] == f"nobody sent a stage to {path}"
    assert "benchlab.stage(" in event.kv["fix"]


def test_once_beside_a_collector_says_who_listens_and_disturbs_nothing(
    collect: Collect, run: Run, path: str, raw: Path
) -> None:
    first = collect()
    done = run(COLLECTOR, "--once", "--json", BENCHLAB_STAGE_SOCKET=path)
    assert done.returncode == 4
    told = json.decode(done.stdout, type=Event).kv
    assert told["reason"] == f"pipeline_probes (pid {first.pid}) listens on {path} already"
    assert told["fix"] == "benchctl status shows what it records"
    finished(program("import benchlab; benchlab.stage('ingress', frame=0)", path))
    until(lambda: frames(raw / "pipeline.jsonl") == [0])


def test_recorded_program_has_its_frames_paired(run: Run, path: str, tmp_path: Path) -> None:
    app = """
import benchlab, time
for frame in range(50):
    benchlab.stage("ingress", frame=frame)
    time.sleep(0.002)
    benchlab.stage("encoded", frame=frame)
"""
    done = run(
        "benchctl", "record", "--data-root", str(tmp_path), "--prom-bind", "127.0.0.1:0", "--with", COLLECTOR,
        "--pair", "ingress", "encoded", "--json", "--", sys.executable, "-c", app, BENCHLAB_STAGE_SOCKET=path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (pair,) = json.decode(done.stdout)["pairs"]
    assert pair["pairs"] == 50
    assert not pair.get("drops")
    assert pair["p50_ms"] >= 2.0


@pytest.mark.usefixtures("gst")
def test_pipeline_and_programs_share_a_stream(start: Start, path: str, tmp_path: Path, raw: Path) -> None:
    where = ("--data-root", str(tmp_path), "--session", "s", "--listen", path)
    text = "videotestsrc is-live=true ! identity name=a ! fakesink"
    start(COLLECTOR, *where, "--pipeline", text, "--stage", "ingress=a.src")
    until(lambda: recorded(raw / "pipeline.jsonl"))
    finished(program("import benchlab; benchlab.stage('shown', frame=1)", path))
    until(lambda: {event.kv["stage"] for event in recorded(raw / "pipeline.jsonl")} == {"ingress", "shown"})
    assert events_of(raw / "pipeline.jsonl")[0].kv["disorder_ms"] == 200


def test_example_in_c_is_recorded(
    component: Callable[[str, str], str], collect: Collect, path: str, raw: Path, tmp_path: Path
) -> None:
    source = REPOSITORY / "docs" / "examples" / "stage.c"
    flags = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    subprocess.run([component("gcc", "gcc"), *flags, "-o", tmp_path / "stage", source], check=True)
    collect()
    subprocess.run([tmp_path / "stage", path, "5"], check=True)  # ten datagrams find room in the kernel
    until(lambda: len(recorded(raw / "pipeline.jsonl")) == 10)
    events = recorded(raw / "pipeline.jsonl")
    assert events[-1].kv == {"stage": "encoded", "frame": 4}
    assert all(event.unc_ns is None for event in events)
    gone = subprocess.run([tmp_path / "stage", str(tmp_path / "nowhere")], capture_output=True, text=True)
    assert (gone.returncode, gone.stderr) == (1, f"{tmp_path}/nowhere: No such file or directory\n")


def test_documented_python_is_recorded(collect: Collect, path: str, raw: Path) -> None:
    page = (REPOSITORY / "docs" / "STAGES.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    collect()
    env = program_env(BENCHLAB_STAGE_SOCKET=path)
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    until(lambda: len(recorded(raw / "pipeline.jsonl")) == 200 and (raw / "bookmarks.jsonl").exists())
