"""Rotation every five seconds for two minutes, everything at work: every event is in exactly one session."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchctl.audit import audit_session
from benchctl.main import main as benchctl
from benchlab.cli import free_port
from benchlab.event import META, Event
from benchlab.log.vouched import read_vouched
from benchlab.session import Session, list_sessions
from benchlab.sim import LogNormal
from muxd.main import main as muxd
from pipeline_probes.sim.frames import Frames, Shape
from pipeline_probes.sim.options import DROP_RATE, JITTER_MS, MEDIAN_MS, P99_MS, STAGES
from support.processes import Run, Start, ended, until
from support.sink_sessions import assert_store_is_the_log

EVERY_S = 5.0
ROTATIONS = 24

# Of the second flow dozens of frames are on their way at every cut, some of them for longer than a second.
SLOW = LogNormal(700.0, 1200.0)
FLOWS = {
    "pipeline": Shape("r5c", STAGES, (LogNormal(MEDIAN_MS, P99_MS),), 500.0, DROP_RATE, JITTER_MS),
    "pipeline_yuan": Shape("yuan", STAGES, (SLOW,), 60.0, DROP_RATE, JITTER_MS),
}
STREAMS = ("benchlab", "telemetry", *FLOWS)

Place = tuple[str, int, str]  # flow, frame, stage


class Lines:
    """What one session holds, read the plain way."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.raw = {path.stem: _decoded(path, Event) for path in sorted(session.raw.glob("*.jsonl"))}
        self.latency = _decoded(session.aligned / "latency.jsonl", dict[str, Any])

    def own(self, stream: str) -> list[Event]:
        """Return what the stream's sources said."""
        return [event for event in self.raw[stream] if event.source != META]

    def places(self, stream: str) -> list[Place]:
        return [(str(e.kv["flow"]), int(str(e.kv["frame"])), str(e.kv["stage"])) for e in self.own(stream) if _is(e)]

    def dropped(self, reason: str) -> set[tuple[str, int]]:
        rows = [row["kv"] for row in self.latency if row["source"] == "metric.dropped"]
        return {(kv["flow"], kv["frame"]) for kv in rows if kv["reason"] == reason}

    def paired(self) -> list[tuple[str, int]]:
        rows = [row["kv"] for row in self.latency if row["source"] == "metric.latency"]
        return [(kv["flow"], kv["frame"]) for kv in rows]


def _is(event: Event) -> bool:
    return event.source == "pipeline"


def _decoded(path: Path, kind: Any) -> list[Any]:
    return [msgspec.json.decode(line, type=kind) for line in path.read_bytes().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rotation")


@pytest.fixture
def stopped(start: Start, run: Run, data_root: Path) -> Iterator[list[Session]]:
    """Run everything, rotate, stop; give the sessions, oldest first."""
    root = ("--data-root", str(data_root))
    bind = ("--prom-bind", f"127.0.0.1:{free_port()}")
    slow = ("--latency-median-ms", "700", "--latency-p99-ms", "1200")
    collectors = [
        start("telemetryd", *root, "--simulate"),
        start("benchlabd", *root, "--simulate"),
        start("pipeline_probes.r5c_capture", *root, "--simulate", "--fps", "500"),
        start("pipeline_probes.yuan_capture", *root, "--simulate", *slow),
    ]
    mux = start("muxd", *root, "--sink", "sqlite", *bind)
    until(lambda: len(list(data_root.glob("sessions/current/raw/*.jsonl"))) == len(STREAMS))
    began_s = time.monotonic()
    for number in range(1, ROTATIONS + 1):
        time.sleep(max(0.0, began_s + number * EVERY_S - time.monotonic()))
        assert run("benchctl", "session", "new", *root).returncode == 0
    until(lambda: all(session.info.closed for session in list_sessions(data_root)[:-1]))
    for process in collectors:
        process.terminate()
    said = [ended(process) for process in collectors]
    until(lambda: all(_is_final(session) for session in list_sessions(data_root)[:-1]))
    mux.terminate()
    said.append(ended(mux))
    assert [(code, out) for code, out, _ in said] == [(0, "")] * 5, said
    assert "rebuilt" not in said[-1][2], said[-1][2]
    yield list_sessions(data_root)


def _is_final(session: Session) -> bool:
    vouched = read_vouched(session.state)
    return vouched is not None and vouched.final


@pytest.mark.xdist_group("long")
def test_every_event_is_in_exactly_one_session(stopped: list[Session], data_root: Path) -> None:
    assert len(stopped) == ROTATIONS + 1
    assert [session.info.continues for session in stopped] == [None, *(session.name for session in stopped[:-1])]
    found = [Lines(session) for session in stopped]
    for lines in found:
        assert set(STREAMS) <= set(lines.raw)
        assert_in_sequence(lines)
    for lines, after in pairwise(found):
        assert_between_its_cuts(lines, after.session)
    for stream, shape in FLOWS.items():
        assert_all_frames_once(stream, Frames(shape, stopped[0].info.starts_ns or 0), found)
    assert_in_flight_is_told_on_both_sides(found)
    for session in stopped[:-1]:
        assert session.info.closed and _is_final(session)
        assert audit_session(session.dir, closed=True).findings == []
        assert benchctl(["verify", "--data-root", str(data_root), session.name]) == 0
        assert muxd(["--data-root", str(data_root), "--session", session.name, "--replay"]) == 0
        assert_store_is_the_log(session)


def assert_in_sequence(lines: Lines) -> None:
    for stream, events in lines.raw.items():
        assert [event.seq for event in events] == list(range(len(events))), (lines.session.name, stream)
        told = [event.kv["event"] for event in events if event.source == META]
        assert (told[0], told[-1], told.count("start"), told.count("stop")) == ("start", "stop", 1, 1)


def assert_between_its_cuts(lines: Lines, after: Session) -> None:
    starts_ns, ends_ns = lines.session.info.starts_ns or 0, after.info.starts_ns or 0
    shift_ns = (after.info.anchor_ns or 0) - (lines.session.info.anchor_ns or 0)
    for stream in lines.raw:
        for event in lines.own(stream):
            assert starts_ns <= event.ts_ns < ends_ns - shift_ns, (lines.session.name, stream, event)


def assert_all_frames_once(stream: str, frames: Frames, found: list[Lines]) -> None:
    """Hold what was recorded against what was simulated, from the first to the last frame, times included."""
    base_ns = found[0].session.info.anchor_ns or 0
    recorded: dict[Place, int] = {}
    for lines in found:
        shift_ns = (lines.session.info.anchor_ns or 0) - base_ns
        places = lines.places(stream)
        assert not recorded.keys() & set(places) and len(set(places)) == len(places), lines.session.name
        times = [event.ts_ns - shift_ns for event in lines.own(stream) if _is(event)]
        recorded |= dict(zip(places, times, strict=True))
    entered = [frame for _, frame, stage in recorded if stage == STAGES[0]]
    last_ns = max(recorded.values())
    expected = {
        (str(event.kv["flow"]), number, str(event.kv["stage"])): event.ts_ns
        for number in range(min(entered), max(entered) + 1)
        for event in frames.frame(number)
        if event.ts_ns <= last_ns
    }
    gaps = [event for lines in found for event in lines.raw[stream] if event.kv.get("event") == "gap"]
    if not gaps:
        assert recorded == expected
        return
    assert recorded.items() <= expected.items()  # the machine stood still for a second, which the log tells
    assert max(entered) - min(entered) + 1 - len(entered) == sum(int(str(event.kv["n"])) for event in gaps)


def assert_in_flight_is_told_on_both_sides(found: list[Lines]) -> None:
    stages = [{stage: _frames(lines, stage) for stage in STAGES} for lines in found]
    encoded_somewhere = set().union(*(held[STAGES[1]] for held in stages))
    for i, (lines, after) in enumerate(pairwise(found[:-1])):
        crossing = stages[i][STAGES[0]] & stages[i + 1][STAGES[1]]
        assert crossing, "no frame was on its way"
        assert after.dropped("open_at_start") == crossing
        at_end = lines.dropped("open_at_end")
        assert crossing <= at_end
        assert not (at_end - crossing) & encoded_somewhere  # the others were lost on the last part of their way
        assert not lines.dropped("orphan") and not lines.dropped("duplicate")
        assert not lines.dropped("lost") & encoded_somewhere
    paired = Counter(frame for lines in found[:-1] for frame in lines.paired())
    both = [held[STAGES[0]] & held[STAGES[1]] for held in stages[:-1]]
    assert paired == Counter(frame for frames in both for frame in frames)


def _frames(lines: Lines, stage: str) -> set[tuple[str, int]]:
    return {(flow, frame) for stream in FLOWS for flow, frame, at in lines.places(stream) if at == stage}
