"""A new day: one new session, made by whoever notices first, and all writers agree on it."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import msgspec
import pytest

from benchlab.daemon.following import FollowingLog
from benchlab.event import META, Event
from benchlab.session import Session, list_sessions, new_session, open_session
from support.processes import Start, ended, until

DAY_NS = 86_400_000_000_000
PATIENCE_S = 20.0
WRITERS = 8


def all_lines(session: Session, stream: str) -> list[Event]:
    lines = (session.raw / f"{stream}.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Event) for line in lines]


def events(session: Session, stream: str) -> list[Event]:
    return [event for event in all_lines(session, stream) if event.source != META]


def let_the_day_end(session: Session) -> None:
    session.update(starts_ns=(session.info.starts_ns or 0) - DAY_NS)


class Writer(threading.Thread):
    """Writes numbered events, as a collector does, until it has moved on to another session."""

    def __init__(self, data_root: Path, stream: str, all_ready: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self._all_ready = all_ready
        follow = partial(open_session, data_root, rotate="daily")
        self.log = FollowingLog(follow(), stream, follow=follow, rotate="daily")
        self.log.start({})
        self.first = self.log.session.name
        self.written = 0

    def run(self) -> None:
        give_up = time.monotonic() + PATIENCE_S
        self._all_ready.wait(PATIENCE_S)
        while self.log.session.name == self.first and time.monotonic() < give_up:
            self.log.write([Event(self.log.clock.now_ns(), "test", {"n": self.written})])
            self.written += 1
            self.log.tick()
            time.sleep(0.01)
        self.log.stop()


def test_collectors_that_notice_at_the_same_moment_go_on_in_one_new_session(tmp_path: Path) -> None:
    all_ready = threading.Barrier(WRITERS)
    writers = [Writer(tmp_path, f"w{i}", all_ready) for i in range(WRITERS)]
    let_the_day_end(open_session(tmp_path))
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(PATIENCE_S)
    old, new = list_sessions(tmp_path)
    starts_ns = new.info.starts_ns
    assert starts_ns is not None and new.info.continues == old.name
    for writer in writers:
        before, after = events(old, writer.log.stream), events(new, writer.log.stream)
        assert [event.kv["n"] for event in before + after] == list(range(writer.written))
        assert before and after
        assert before[-1].ts_ns < starts_ns <= after[0].ts_ns
        stop = all_lines(old, writer.log.stream)[-1]
        assert (stop.kv["event"], stop.ts_ns) == ("stop", starts_ns)  # later, frames in flight would count as lost


@pytest.mark.parametrize("rotate", ["daily", "never"])
def test_real_collectors_rotate_at_the_end_of_the_day_if_told_to(start: Start, tmp_path: Path, rotate: str) -> None:
    programs = ("telemetryd", "benchlabd", "pipeline_probes.r5c_capture", "pipeline_probes.yuan_capture")
    words = ("--data-root", str(tmp_path), "--simulate")
    running = [start(program, *words, BENCHLAB_GENERAL_SESSION_ROTATE=rotate) for program in programs]
    until(lambda: len(list(tmp_path.glob("sessions/current/raw/*.jsonl"))) == len(programs))
    first = open_session(tmp_path)
    let_the_day_end(first)
    if rotate == "daily":
        until(lambda: open_session(tmp_path).name != first.name)
        until(lambda: len(list(tmp_path.glob("sessions/current/raw/*.jsonl"))) == len(programs))
        time.sleep(2.0)  # in which all that noticed later would make more sessions
    else:
        time.sleep(1.0)
    for process in running:
        process.terminate()
    for process in running:
        code, _, err = ended(process)
        assert code == 0, err
    found = list_sessions(tmp_path)
    assert len(found) == (2 if rotate == "daily" else 1)
    assert all(len(list(session.raw.glob("*.jsonl"))) == len(programs) for session in found)


def test_writer_that_missed_a_rotation_goes_through_the_session_between(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "w", threading.Barrier(1))
    first = writer.log.session
    second, third = new_session(tmp_path, "second"), new_session(tmp_path, "third")
    assert [session.info.continues for session in (second, third)] == [first.name, "second"]
    assert (third.info.starts_ns or 0) >= (second.info.starts_ns or 0) + 2_000_000_000
    give_up, n = time.monotonic() + PATIENCE_S, 0
    while writer.log.session.name != "third":
        assert time.monotonic() < give_up
        writer.log.write([Event(writer.log.clock.now_ns(), "test", {"n": n})])
        writer.log.tick()
        n += 1
        time.sleep(0.01)
    writer.log.stop()
    found = [events(session, "w") for session in (first, second, third)]
    assert [event.kv["n"] for part in found for event in part] == list(range(n))
    for part, session in zip(found[1:], (second, third), strict=True):
        assert part[0].ts_ns >= (session.info.starts_ns or 0)
    assert found[0][-1].ts_ns < (second.info.starts_ns or 0)
    assert found[1][-1].ts_ns < (third.info.starts_ns or 0)
