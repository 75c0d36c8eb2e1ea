"""A wall clock that is set while collectors write and a sink stores: the timeline does not notice."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchctl.audit import audit_session
from benchlab.cli import free_port
from benchlab.clock import SessionClock, wall_ns
from benchlab.daemon import Daemon, Reading
from benchlab.daemon.following import FollowingLog
from benchlab.event import Event
from benchlab.session import Session, open_session
from support.mux_sessions import late_lines
from support.processes import Run, Start, ended, until
from support.sink_sessions import assert_store_is_the_log, has_rows, stored

SECOND = 1_000_000_000
STEPS = (3600 * SECOND, -7200 * SECOND, SECOND // 20)


class Wall:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def __call__(self) -> int:
        return wall_ns() + self.ahead_ns


class Stages:
    """Two stages of a frame, 5 ms apart, every 20 ms."""

    name = "pipeline"
    stamping = "event"
    period_s = 0.02

    def __init__(self, clock: SessionClock) -> None:
        self._clock = clock
        self._frame = 0

    def sample(self) -> Iterable[Reading]:
        now_ns, self._frame = self._clock.now_ns(), self._frame + 1
        for stage, ago_ns in (("ingress", 5_000_000), ("encoded", 0)):
            yield Reading(kv={"stage": stage, "frame": self._frame}, ts_ns=now_ns - ago_ns)


class Meter:
    """Watts, every 20 ms."""

    name = "benchlab.usb"
    period_s = 0.02

    def sample(self) -> Iterable[Reading]:
        return [Reading(kv={"p_sys": 100.0})]


def collect(session: Session, stream: str, wall: Wall, stop: threading.Event) -> threading.Thread:
    """Run a collector whose wall clock is ``wall`` in a thread."""
    log = FollowingLog(session, stream)
    clock = SessionClock(log.clock.anchor_ns, wall=wall)
    source = Stages(clock) if stream == "pipeline" else Meter()
    daemon = Daemon(stream, [source], log, clock, 0.02, start_fields={"disorder_ms": 20}, stop=stop, env={})
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    return thread


def steps_told(session: Session, stream: str) -> list[int]:
    lines = (session.raw / f"{stream}.jsonl").read_bytes().splitlines()
    metas = [event.kv for line in lines if (event := msgspec.json.decode(line, type=Event)).source == "meta"]
    return [round(int(str(kv["step_ns"])) / SECOND, 2) for kv in metas if kv["event"] == "clock_step"]  # type: ignore[misc]


def sink_lag_s(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith('benchlab_sink_lag_seconds{sink="sqlite"}')))


def test_wall_clock_that_jumps_moves_nothing_and_is_told(start: Start, run: Run, tmp_path: Path) -> None:
    session, wall, stop, port = open_session(tmp_path, "s"), Wall(), threading.Event(), free_port()
    words = ("--data-root", str(tmp_path), "--session", "s")
    threads = [collect(session, stream, wall, stop) for stream in ("pipeline", "benchlab")]
    mux = start("muxd", *words, "--sink", "sqlite", "--prom-bind", f"127.0.0.1:{port}")
    until(lambda: has_rows(session))
    began_ns = session.clock().now_ns()
    for step_ns in STEPS:
        wall.ahead_ns += step_ns
        time.sleep(1.5)
        assert sink_lag_s(port) < 30.0  # an hour's step would be an hour's lag
    stop.set()
    for thread in threads:
        thread.join(15)
    session.close(session.clock().now_ns())
    code, _, err = ended(mux)
    assert code == 0, err
    expected = [round(step_ns / SECOND, 2) for step_ns in STEPS]
    assert [steps_told(session, stream) for stream in ("pipeline", "benchlab")] == [expected, expected]
    times = [row["ts_ns"] for row in stored(session, "latency")]
    assert times == sorted(times)
    assert began_ns - 60 * SECOND < times[0] < times[-1] <= (session.info.closed_ns or 0)
    assert late_lines(session) == []
    assert run("muxd", *words, "--replay").returncode == 0
    assert {finding.kind for finding in audit_session(session.dir, closed=True).findings} == {"clock_step"}
    assert_store_is_the_log(session)
