from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from benchlab.clock import SessionClock, boottime_ns, is_synchronised, wall_ns
from benchlab.files import FileLock
from benchlab.session import Session, new_session, open_session
from support.isolation import booted

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def record(session: Session, stream: str, times: Iterable[int], tail: bytes = b"") -> None:
    lines = [json.dumps({"ts_ns": t, "source": "s", "kv": {}}).encode() + b"\n" for t in times]
    (session.raw / f"{stream}.jsonl").write_bytes(b"".join(lines) + tail)


def test_timeline_is_the_wall_clock_at_creation(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev")
    assert abs(session.clock().now_ns() - wall_ns()) < 5 * SECOND
    assert abs((session.info.starts_ns or 0) - wall_ns()) < 60 * SECOND
    assert session.info.clock_synchronised is is_synchronised()


def test_two_processes_have_the_same_timeline(tmp_path: Path) -> None:
    first, second = open_session(tmp_path, "dev").clock(), open_session(tmp_path, "dev").clock()
    assert first.anchor_ns == second.anchor_ns
    assert first.now_ns() <= second.now_ns() <= first.now_ns()


def test_after_a_reboot_current_starts_a_new_session(tmp_path: Path) -> None:
    before = open_session(tmp_path, root=booted(tmp_path, "b1"))
    assert open_session(tmp_path, root=booted(tmp_path, "b1")).name == before.name
    after = open_session(tmp_path, root=booted(tmp_path, "b2"))
    assert after.name != before.name and after.info.boot_id == "b2"
    assert after.info.continues is None


def test_after_a_reboot_readers_still_find_the_last_session(tmp_path: Path) -> None:
    before = open_session(tmp_path, root=booted(tmp_path, "b1"))
    assert open_session(tmp_path, create=False, root=booted(tmp_path, "b2")).name == before.name


def test_boot_id_that_cannot_be_read_proves_no_reboot(tmp_path: Path) -> None:
    before = open_session(tmp_path, root=booted(tmp_path, "b1"))
    again = open_session(tmp_path, root=tmp_path / "without-proc")
    assert again.name == before.name
    assert again.clock().anchor_ns == before.info.anchor_ns


def test_after_a_reboot_a_named_session_gets_an_anchor_once_and_keeps_the_earlier(tmp_path: Path) -> None:
    before = open_session(tmp_path, "dev", root=booted(tmp_path, "b1"))
    before.update(anchor_ns=(before.info.anchor_ns or 0) - HOUR)  # it booted an hour later
    after = open_session(tmp_path, "dev", root=booted(tmp_path, "b2"))
    assert after.info == before.info, "reading moves nothing"
    late_comer = open_session(tmp_path, "dev", root=booted(tmp_path, "b2"))
    timeline = after.clock()
    assert abs(timeline.now_ns() - wall_ns()) < 5 * SECOND
    assert late_comer.clock().anchor_ns == timeline.anchor_ns
    assert [(a.boot_id, a.anchor_ns) for a in after.info.anchors] == [("b1", before.info.anchor_ns)]
    assert after.info.boot_id == "b2"
    assert open_session(tmp_path, "dev").info == late_comer.info


def test_after_a_reboot_with_a_clock_behind_time_still_goes_on(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev", root=booted(tmp_path, "b1"))
    future = wall_ns() + 1000 * HOUR
    record(session, "pipeline", [future - 5, future], tail=b'{"ts_ns":12')
    record(session, "telemetry", [future - HOUR])
    timeline = open_session(tmp_path, "dev", root=booted(tmp_path, "b2")).clock()
    assert future + SECOND <= timeline.now_ns() < future + 600 * SECOND


def test_one_mad_time_at_the_end_does_not_push_the_timeline(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev", root=booted(tmp_path, "b1"))
    future = wall_ns() + 1000 * HOUR
    record(session, "pipeline", [future - 5, future, future + 99_999 * HOUR], tail=b"\xff\xfe\n{}\n5\n")
    timeline = open_session(tmp_path, "dev", root=booted(tmp_path, "b2")).clock()
    assert future + SECOND <= timeline.now_ns() < future + 600 * SECOND


def test_last_event_is_found_behind_a_long_line(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev", root=booted(tmp_path, "b1"))
    future = wall_ns() + 1000 * HOUR
    record(session, "pipeline", range(future - 1000, future))
    with (session.raw / "pipeline.jsonl").open("ab") as stream:
        stream.write(json.dumps({"ts_ns": future, "source": "s", "kv": {"t": "x" * 1_000_000}}).encode() + b"\n")
        stream.write(b"y" * 1_000_000)
    timeline = open_session(tmp_path, "dev", root=booted(tmp_path, "b2")).clock()
    assert future + SECOND <= timeline.now_ns() < future + 600 * SECOND


def test_session_without_anchor_gets_one(tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / "dev"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text('{"id":"dev"}')
    session = open_session(tmp_path, "dev")
    assert abs(session.clock().now_ns() - wall_ns()) < 5 * SECOND
    assert session.info.anchors == []


def test_rotation_starts_in_two_seconds_on_the_same_timeline(tmp_path: Path) -> None:
    old = open_session(tmp_path)
    with FileLock(old.state / "pipeline.lock", "a writer"):
        before_ns = old.clock().now_ns()
        new = new_session(tmp_path)
        after_ns = old.clock().now_ns()
    assert new.info.continues == old.name
    assert new.info.anchor_ns == old.info.anchor_ns
    assert before_ns + 2 * SECOND <= (new.info.starts_ns or 0) <= after_ns + 2 * SECOND


def test_rotation_after_the_wall_clock_was_set_takes_a_true_anchor(tmp_path: Path) -> None:
    old = open_session(tmp_path)
    old.update(anchor_ns=(old.info.anchor_ns or 0) - HOUR)
    with FileLock(old.state / "pipeline.lock", "a writer"):
        new = new_session(tmp_path)
    assert abs(boottime_ns() + (new.info.anchor_ns or 0) - wall_ns()) < 5 * SECOND
    assert new.info.continues == old.name


def test_new_day_rotates_once_for_all_who_record(tmp_path: Path) -> None:
    old = open_session(tmp_path, rotate="daily")
    assert open_session(tmp_path, rotate="daily").name == old.name
    old.update(starts_ns=(old.info.starts_ns or 0) - DAY)
    with FileLock(old.state / "pipeline.lock", "a writer"):
        new = open_session(tmp_path, rotate="daily")
        assert open_session(tmp_path, rotate="daily").name == new.name
    assert (new.info.continues, new.info.anchor_ns) == (old.name, old.info.anchor_ns)


def test_new_day_is_nothing_to_who_does_not_rotate(tmp_path: Path) -> None:
    old, named = open_session(tmp_path), open_session(tmp_path, "dev")
    for session in (old, named):
        session.update(starts_ns=(session.info.starts_ns or 0) - DAY)
    assert open_session(tmp_path).name == old.name
    assert open_session(tmp_path, create=False, rotate="daily").name == old.name
    assert open_session(tmp_path, "dev", rotate="daily").name == "dev"


def test_session_that_begins_after_midnight_is_not_over_before_it(tmp_path: Path) -> None:
    session = open_session(tmp_path)
    session.update(starts_ns=(session.info.starts_ns or 0) + DAY)
    assert open_session(tmp_path, rotate="daily").name == session.name


def test_session_nobody_records_is_not_continued(tmp_path: Path) -> None:
    old = open_session(tmp_path)
    with FileLock(old.state / "pipeline.lock", "a writer that ended"):
        pass
    new = new_session(tmp_path)
    assert new.info.continues is None
    assert (new.info.starts_ns or 0) <= new.clock().now_ns()


@pytest.mark.parametrize(
    ("at_creation", "now", "recorded"), [(False, True, True), (False, False, False), (True, True, False)]
)
def test_clock_synchronised_late_is_recorded_once_and_moves_nothing(
    tmp_path: Path, at_creation: bool, now: bool, recorded: bool
) -> None:
    session = open_session(tmp_path, "dev")
    session.update(clock_synchronised=at_creation)
    timeline = SessionClock(session.info.anchor_ns or 0, wall=lambda: wall_ns() + HOUR)
    anchor_ns = session.info.anchor_ns
    assert session.note_synchronised(timeline, ask=lambda: now) is recorded
    assert session.note_synchronised(timeline, ask=lambda: now) is False
    offset_ns = open_session(tmp_path, "dev").info.clock_offset_ns
    assert (offset_ns is not None) is recorded
    assert offset_ns is None or abs(offset_ns - HOUR) < 5 * SECOND
    assert session.info.anchor_ns == anchor_ns
