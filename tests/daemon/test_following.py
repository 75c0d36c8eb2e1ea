from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import msgspec
import pytest

from benchlab.daemon.following import FollowingLog
from benchlab.errors import Exit, Fault
from benchlab.event import Event
from benchlab.session import Session, new_session, open_session

HOUR_NS = 3_600_000_000_000
SOON_NS = 300_000_000


def follower(data_root: Path) -> FollowingLog:
    def current() -> Session:
        return open_session(data_root)

    log = FollowingLog(current(), "test", follow=current)
    log.start({"version": "9"})
    return log


def write_until(log: FollowingLog, happened: Callable[[], bool]) -> int:
    """Write numbered events, as a collector does, until something has happened; return how many."""
    give_up = monotonic() + 15.0
    n = 0
    while not happened():
        assert monotonic() < give_up
        log.write([Event(log.clock.now_ns(), "test", {"n": n})])
        n += 1
        if n % 5 == 0:
            log.tick()
        sleep(0.005)
    return n


def events(session: Session) -> list[Event]:
    return [msgspec.json.decode(line, type=Event) for line in (session.raw / "test.jsonl").read_bytes().splitlines()]


def numbers(session: Session) -> list[Any]:
    return [event.kv["n"] for event in events(session) if event.source == "test"]


def rotate(data_root: Path, log: FollowingLog, shift_ns: int = 0) -> Session:
    """Start the next session soon, on a timeline that is ``shift_ns`` ahead."""
    fresh = new_session(data_root, "next")
    assert fresh.info.anchor_ns is not None
    starts_ns = log.clock.now_ns() + SOON_NS + shift_ns
    fresh.update(starts_ns=starts_ns, anchor_ns=log.clock.anchor_ns + shift_ns)
    return fresh


@pytest.mark.parametrize("shift_ns", [0, HOUR_NS, -HOUR_NS])
def test_every_event_is_in_exactly_one_session(tmp_path: Path, shift_ns: int) -> None:
    log = follower(tmp_path)
    first = log.session
    write_until(log, lambda: len(numbers(first)) >= 10)
    written = len(numbers(first))
    fresh = rotate(tmp_path, log, shift_ns)
    more = write_until(log, lambda: log.session.name == fresh.name)
    log.stop()
    assert numbers(first)[written:] + numbers(fresh) == list(range(more))
    starts_ns = fresh.info.starts_ns
    assert starts_ns is not None
    assert all(event.ts_ns + shift_ns < starts_ns for event in events(first) if event.source == "test")
    assert all(event.ts_ns >= starts_ns for event in events(fresh))


def test_both_sessions_have_a_start_and_a_stop_line(tmp_path: Path) -> None:
    log = follower(tmp_path)
    first = log.session
    fresh = rotate(tmp_path, log)
    write_until(log, lambda: log.session.name == fresh.name)
    log.stop()
    for session in (first, fresh):
        kinds = [event.kv["event"] for event in events(session) if event.source == "meta"]
        assert kinds == ["start", "stop"]
        assert events(session)[0].kv == {"event": "start", "version": "9", "session": session.name}


def test_silent_collector_moves_on_too(tmp_path: Path) -> None:
    log = follower(tmp_path)
    fresh = rotate(tmp_path, log)
    give_up = monotonic() + 15.0
    while log.session.name != fresh.name:
        assert monotonic() < give_up
        log.tick()
        sleep(0.05)
    log.stop()
    assert events(fresh)[0].kv["event"] == "start"


def test_named_session_is_stayed_with(tmp_path: Path) -> None:
    log = FollowingLog(open_session(tmp_path, "mine"), "test")
    log.start({})
    new_session(tmp_path, "other")
    log.tick()
    log.write([Event(log.clock.now_ns(), "test", {"n": 0})])
    log.stop()
    assert numbers(open_session(tmp_path, "mine")) == [0]


def test_named_session_that_is_closed_ends_the_recording(tmp_path: Path) -> None:
    session = open_session(tmp_path, "mine")
    log = FollowingLog(session, "test")
    log.start({})
    open_session(tmp_path, "mine").close(log.clock.now_ns())
    with pytest.raises(Fault, match="session mine was closed") as caught:
        log.tick()
    assert caught.value.code == Exit.IO
    log.stop()


def test_current_session_that_is_closed_is_followed_by_a_new_one(tmp_path: Path) -> None:
    log = follower(tmp_path)
    first = log.session
    open_session(tmp_path, first.name).close(log.clock.now_ns())
    write_until(log, lambda: log.session.name != first.name)
    log.stop()
    assert numbers(log.session)


def test_current_link_that_leads_nowhere_loses_nothing(tmp_path: Path) -> None:
    log = follower(tmp_path)
    link = log.session.dir.with_name("current")
    link.unlink()
    link.symlink_to("../../etc")
    log.tick()
    log.write([Event(log.clock.now_ns(), "test", {"n": 0})])
    log.stop()
    assert numbers(log.session) == [0]


def test_second_writer_of_a_stream_is_refused(tmp_path: Path) -> None:
    log = follower(tmp_path)
    with pytest.raises(Fault, match="is held by") as caught:
        FollowingLog(open_session(tmp_path), "test")
    assert caught.value.code == Exit.IO
    log.stop()
