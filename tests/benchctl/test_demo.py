"""demo with the real programs: a whole run, and everything that can go wrong in one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchctl.audit import audit_session
from benchctl.sample import run_sample
from benchlab import cli
from benchlab.session import open_session
from support.processes import ended, sessions, survivors, until
from support.sink_sessions import assert_store_is_the_log

Start = Callable[..., "subprocess.Popen[bytes]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
PAIR = ("ingress", "encoded")


def stream_bytes(data_root: Path, stream: str) -> int:
    path = data_root / "sessions" / "current" / "raw" / f"{stream}.jsonl"
    return path.stat().st_size if path.exists() else 0


def holder(data_root: Path, stream: str) -> int:
    lock = data_root / "sessions" / "current" / "state" / f"{stream}.lock"
    pid: int = json.loads(lock.read_bytes())["pid"]
    return pid


def pid_of(module: str, data_root: Path) -> int:
    """Return the process that runs a program of the product on this data root."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if {module.encode(), str(data_root).encode()} <= set(words):
            return int(folder.name)
    raise AssertionError(f"{module} does not run")


def test_demo_from_start_to_export(run: Run, tmp_path: Path, bind: str) -> None:
    root = tmp_path / "data"
    web = f"127.0.0.1:{cli.free_port()}"
    words = ("--data-root", str(root), "--duration", "4", "--yuan")
    done = run("benchctl", "demo", *words, BENCHLAB_PROM=bind, BENCHLAB_WEB_BIND=web)
    assert done.returncode == 0, done.stderr
    session = open_session(root, create=False)
    assert session.info.closed
    for kind in ("csv", "json"):
        assert f"export     {session.dir}/cx-export/ingress_to_encoded.{kind}" in done.stdout.splitlines()
    assert "simulated" in done.stdout
    assert f"http://127.0.0.1:{bind.split(':')[1]}/metrics" in done.stderr
    assert f"dashboard  http://{web}\n" in done.stderr
    report = audit_session(session.dir, closed=True)
    assert (report.finished, report.findings) == (True, [])
    assert {ledger.file for ledger in report.streams} >= {"pipeline.jsonl", "pipeline_yuan.jsonl"}
    assert report.pairs[0].pairs > 100
    assert_store_is_the_log(session)
    assert survivors(root) == []


def test_ctrl_c_ends_the_demo_well(start: Start, tmp_path: Path, bind: str) -> None:
    demo = start("benchctl", "demo", "--no-web", "--data-root", str(tmp_path), BENCHLAB_PROM=bind)
    latency = tmp_path / "sessions" / "current" / "aligned" / "latency.jsonl"
    until(lambda: latency.exists() and latency.read_bytes().count(b"\n") > 60)
    demo.send_signal(signal.SIGINT)
    code, out, err = ended(demo)
    assert code == 0, err
    assert "ingress_to_encoded.csv" in out
    assert "Traceback" not in err
    assert survivors(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_during_the_start_leaves_nothing_behind(
    start: Start, tmp_path: Path, bind: str, number: signal.Signals
) -> None:
    demo = start("benchctl", "demo", "--no-web", "--data-root", str(tmp_path), BENCHLAB_PROM=bind)
    assert demo.stderr is not None
    assert b"metrics" in demo.stderr.readline()
    demo.send_signal(number)
    code, _, err = ended(demo)
    assert code in (0, 1, 5, 130)
    assert "Traceback" not in err
    assert open_session(tmp_path, create=False).info.closed
    assert survivors(tmp_path) == []


def test_child_that_dies_is_named_and_the_rest_is_saved(start: Start, tmp_path: Path, bind: str) -> None:
    demo = start("benchctl", "demo", "--no-web", "--data-root", str(tmp_path), BENCHLAB_PROM=bind)
    until(lambda: stream_bytes(tmp_path, "benchlab") and stream_bytes(tmp_path, "pipeline") > 50_000)
    os.kill(holder(tmp_path, "benchlab"), signal.SIGKILL)
    code, out, err = ended(demo)
    assert code == 5
    assert "benchlabd (pid" in err
    assert "was ended by SIGKILL" in err
    assert "ingress_to_encoded.csv" in out
    assert survivors(tmp_path) == []


def test_session_closed_by_somebody_else_ends_the_demo(start: Start, tmp_path: Path, bind: str) -> None:
    demo = start("benchctl", "demo", "--no-web", "--data-root", str(tmp_path), BENCHLAB_PROM=bind)
    until(lambda: stream_bytes(tmp_path, "pipeline") > 10_000)
    session = open_session(tmp_path, create=False)
    session.close(session.clock().now_ns())
    code, _, err = ended(demo)
    assert code == 5
    assert "closed by somebody else" in err
    assert survivors(tmp_path) == []


def test_taken_port_is_named_with_its_owner_before_anything_starts(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("benchctl", "demo", "--data-root", str(tmp_path), BENCHLAB_PROM=f"127.0.0.1:{port}")
    assert done.returncode == 5
    assert done.stderr.startswith(f"benchctl: port {port} is taken by ")
    assert f"(pid {os.getpid()})" in done.stderr
    assert "--port-offset" in done.stderr
    assert sessions(tmp_path) == []


def test_taken_port_of_the_dashboard_is_named_with_both_ways_out(run: Run, tmp_path: Path, bind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        web = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("benchctl", "demo", "--data-root", str(tmp_path), BENCHLAB_PROM=bind, BENCHLAB_WEB_BIND=web)
    assert done.returncode == 5
    assert "--port-offset N moves all ports" in done.stderr
    assert "--no-web" in done.stderr
    assert sessions(tmp_path) == []


def test_dashboard_that_dies_costs_the_recording_nothing_and_is_named(start: Start, tmp_path: Path, bind: str) -> None:
    web = f"127.0.0.1:{cli.free_port()}"
    demo = start("benchctl", "demo", "--data-root", str(tmp_path), BENCHLAB_PROM=bind, BENCHLAB_WEB_BIND=web)
    until(lambda: stream_bytes(tmp_path, "pipeline") > 10_000)
    os.kill(pid_of("webd", tmp_path), signal.SIGKILL)
    before = stream_bytes(tmp_path, "pipeline")
    until(lambda: stream_bytes(tmp_path, "pipeline") > before + 10_000)
    demo.send_signal(signal.SIGINT)
    code, out, err = ended(demo)
    assert code == 5
    assert "webd (pid" in err
    assert "was ended by SIGKILL" in err
    assert "ingress_to_encoded.csv" in out
    assert survivors(tmp_path) == []


@pytest.mark.parametrize(
    "words",
    [
        ("--port-offset", "60000"),
        ("--session", ".."),
        ("--duration", "0"),
        ("--duration", "nan"),
        ("--duration", "x"),
    ],
)
def test_senseless_options_start_nothing(run: Run, tmp_path: Path, words: tuple[str, str]) -> None:
    done = run("benchctl", "demo", "--data-root", str(tmp_path), *words, BENCHLAB_PROM="127.0.0.1:9109")
    assert done.returncode == 2
    assert sessions(tmp_path) == []


def test_sample_gives_its_known_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_sample(tmp_path, SAMPLE, PAIR) == 0
    assert run_sample(tmp_path, SAMPLE, PAIR) == 0
    assert "DIFFERENT" not in capsys.readouterr().out
    assert len(sessions(tmp_path)) == 2
    assert not (tmp_path / "sessions" / "current").exists()


def test_sample_with_other_answers_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SAMPLE, tmp_path / "sample")
    known = json.loads((SAMPLE / "answers.json").read_bytes())
    known["pairs"] += 1
    known["dropped"]["strange"] = [1]
    (tmp_path / "sample" / "answers.json").write_text(json.dumps(known))
    assert run_sample(tmp_path, tmp_path / "sample", PAIR) == 1
    said = capsys.readouterr()
    assert f"pairs is {known['pairs'] - 1}, expected {known['pairs']}" in said.err
    assert "dropped.strange is 0, expected 1" in said.err
