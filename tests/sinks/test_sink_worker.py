"""A sink that fails, refuses or is interrupted gets every record once all the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec
import pytest

from benchlab.log.place import hash_before, line_before
from benchlab.session import Session
from muxd.sinks.cursor import Cursor, FileCursors
from muxd.sinks.feed import Feed, LogChanged
from muxd.sinks.sink import Record, Rejected, Transient
from muxd.sinks.worker import LAST_RETRY_S, Worker
from support.mux_sessions import append, make_session, mux_closed, mux_open, stage
from support.sink_sessions import (
    ListSink,
    assert_store_is_the_log,
    bookmark,
    drain,
    length_of,
    letters,
    letters_path,
    marked_run,
    places,
    store,
    stored,
    worker,
)

DAY_S = 86_400.0


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = marked_run(tmp_path / "s")
    mux_closed(made)
    return made


def long_session(folder: Path, frames: int) -> Session:
    session = make_session(folder)
    for frame in range(frames):
        append(session, "pipeline", [stage(frame, "ingress", frame), stage(frame + 0.5, "encoded", frame)])
    mux_closed(session)
    return session


class Down:
    """A service that is down until a moment of a clock that the test moves."""

    def __init__(self, until_s: float) -> None:
        self.now_s = 0.0
        self.until_s = until_s
        self.asked_s: list[float] = []

    def __call__(self, batch: Sequence[Record]) -> None:
        self.asked_s.append(self.now_s)
        if self.now_s < self.until_s:
            raise Transient("connection refused")


def test_a_sink_that_fails_for_a_day_then_stores_everything_once(session: Session) -> None:
    down = Down(until_s=DAY_S)
    sink = ListSink(session, down)
    working = worker(session, sink, "list")
    while down.now_s < DAY_S:
        wait_s = working.step()
        assert 0 < wait_s <= LAST_RETRY_S
        assert working.failing == "connection refused"
        down.now_s += wait_s
    assert len(down.asked_s) < DAY_S / LAST_RETRY_S + 20
    drain(working)
    assert sink.places() == places(session)


def test_failures_are_told_once_and_so_is_the_recovery(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    down = Down(until_s=1.0)
    working = worker(session, ListSink(session, down), "list")
    waits = [working.step() for _ in range(5)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]
    down.now_s = 2.0
    drain(working)
    assert [record.getMessage() for record in caplog.records] == [
        "sink list: connection refused; nothing is lost, it is tried again",
        "sink list works again",
    ]


def test_a_server_that_says_when_to_come_back_is_obeyed(session: Session) -> None:
    def busy(batch: Sequence[Record]) -> None:
        raise Transient("429 Too Many Requests", retry_after_s=17.0)

    assert worker(session, ListSink(session, busy), "list").step() == 17.0


def test_a_defect_of_a_sink_is_a_failure_like_others(session: Session) -> None:
    def broken(batch: Sequence[Record]) -> None:
        raise ZeroDivisionError("division by zero")

    working = worker(session, ListSink(session, broken), "list")
    assert working.step() > 0
    assert working.failing == "ZeroDivisionError: division by zero"


def refuse_some(batch: Sequence[Record]) -> None:
    """Refuse one record in a thousand, wherever it stands."""
    refused = [record for record in batch if number_of(record) % 1000 == 999]
    if refused:
        raise Rejected(refused, "unparsable", "the server's own words")


def number_of(record: Record) -> int:
    frame = record.event.kv.get("frame", 0)
    return frame if isinstance(frame, int) else 0


def test_one_record_in_a_thousand_is_refused_and_the_rest_is_stored(tmp_path: Path) -> None:
    session = long_session(tmp_path / "s", 5000)
    sink = ListSink(session, refuse_some)
    working = drain(worker(session, sink, "list"))
    dead = letters(session, "list")
    assert [letter["event"]["kv"]["frame"] for letter in dead] == [999, 1999, 2999, 3999, 4999]
    assert {(letter["reason"], letter["detail"]) for letter in dead} == {("unparsable", "the server's own words")}
    assert working.rejected == {"unparsable": 5}
    assert sorted(sink.places() + [(letter["stream"], letter["offset"]) for letter in dead]) == sorted(places(session))


def test_dead_letters_are_there_once_when_the_rest_of_the_batch_fails_and_is_tried_again(tmp_path: Path) -> None:
    session = long_session(tmp_path / "s", 1100)
    tries = []

    def refuse_then_fail(batch: Sequence[Record]) -> None:
        refuse_some(batch)
        tries.append(len(batch))
        if len(tries) < 4:
            raise Transient("not yet")

    working = worker(session, ListSink(session, refuse_then_fail), "list")
    while working.step() > 0 and not working.is_idle:
        pass
    drain(working)
    assert len(tries) >= 4
    assert len(letters(session, "list")) == 1


def test_dead_letters_of_a_batch_that_was_never_finished_are_written_once(tmp_path: Path) -> None:
    session = long_session(tmp_path / "s", 1100)

    def refuse_then_fail(batch: Sequence[Record]) -> None:
        refuse_some(batch)
        raise Transient("killed here")

    for _ in range(3):
        worker(session, ListSink(session, refuse_then_fail), "list").step()
    assert len(letters(session, "list")) == 1
    with letters_path(session, "list").open("ab") as file:
        file.write(b'{"generation":1,"stre')  # torn by a crash
    drain(worker(session, ListSink(session, refuse_some), "list"))
    assert len(letters(session, "list")) == 1


def test_a_sink_that_refuses_what_it_was_not_given_is_not_listened_to(session: Session) -> None:
    def confused(batch: Sequence[Record]) -> None:
        raise Rejected([], "whatever")

    working = worker(session, ListSink(session, confused), "list")
    working.step()
    assert working.failing is not None and "not given" in working.failing


def test_a_record_that_is_no_row_is_buried_and_the_rows_around_it_are_stored(session: Session) -> None:
    path = session.aligned / "latency.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"lat_ms":10.0', b'"lat_ms":"x" ')
    lines[7] = b"#" * (len(lines[7]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    working = store(session)
    assert len(stored(session, "latency")) == 58
    assert [(letter["reason"], letter["offset"]) for letter in letters(session)] == [
        ("not_json", sum(map(len, lines[:7]))),
        ("unfit", sum(map(len, lines[:3]))),
    ]
    assert working.rejected == {"unfit": 1, "not_json": 1}


def test_an_interrupted_sink_goes_on_where_it_stood(session: Session) -> None:
    """Stepping with a new worker each time is what a crash after each step comes to."""
    for _ in range(10):
        working = worker(session)
        working.step()
        working.close()
    store(session)
    assert_store_is_the_log(session)


def test_deleted_cursors_make_the_sink_begin_again(session: Session) -> None:
    sink = ListSink(session)
    drain(worker(session, sink, "list"))
    (session.state / "sinks" / "list.json").write_bytes(b"{torn")
    drain(worker(session, sink, "list"))
    assert sink.places() == places(session)


@pytest.mark.parametrize(
    "changed",
    [Cursor(2, 0, ""), Cursor(1, 10**9, "x"), Cursor(1, 0, "x")],
    ids=["generation", "beyond the end", "hash"],
)
def test_a_cursor_that_does_not_match_makes_the_sink_begin_again(
    session: Session, changed: Cursor, caplog: pytest.LogCaptureFixture
) -> None:
    sink = ListSink(session)
    drain(worker(session, sink, "list"))
    cursors = sink.cursors.load()
    sink.cursors.save({**cursors, "aligned/latency.jsonl": changed})
    drain(worker(session, sink, "list"))
    assert sink.places() == places(session)
    assert sink.cursors.load() == cursors
    assert "its rows of this session are written again" in caplog.text


def test_a_checkpoint_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    session = marked_run(tmp_path / "s")
    sink = ListSink(session)
    working = worker(session, sink, "list")
    assert working.step() > 0 and working.is_idle and sink.records == []
    mux_closed(session)
    drain(working)
    assert sink.places() == places(session)


def test_a_bookmark_far_in_the_future_is_left_out_as_muxd_leaves_it_out(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    hour_ms = 3_600_000
    for at_ms in (0, 10, 5 * hour_ms, 20, 30):
        append(session, "bookmarks", [bookmark(at_ms, f"at {at_ms}")])
        mux_open(session)
    sink = ListSink(session)
    drain(worker(session, sink, "list"))
    append(session, "bookmarks", [bookmark(9 * hour_ms, "a jump at the end")])
    mux_closed(session)
    drain(worker(session, sink, "list"))
    assert [record.event.kv["text"] for record in sink.records] == ["at 0", "at 10", "at 20", "at 30"]


def test_what_was_read_while_a_rebuild_began_is_not_handed_out(session: Session) -> None:
    feed = Feed(session.dir)
    now = feed.word()
    assert now is not None and feed.read({}, now.generation) is not None
    words = iter([now, msgspec.structs.replace(now, generation=now.generation + 1)])
    feed.word = lambda: next(words)  # type: ignore[assignment]
    with pytest.raises(LogChanged):
        feed.read({}, now.generation)


def test_an_aligned_file_shorter_than_vouched_is_waited_for_not_begun_again(session: Session) -> None:
    path = session.aligned / "latency.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[:100])
    working = worker(session)
    working.step()
    assert working.failing is not None and f"expected the {len(data)} that are vouched for" in working.failing
    path.write_bytes(data)
    working.step()
    drain(working).close()
    assert_store_is_the_log(session)


def test_lag_is_the_time_between_what_is_vouched_for_and_what_is_stored(session: Session) -> None:
    feed = Feed(session.dir)
    path = session.aligned / "latency.jsonl"
    assert feed.lag_s({}) == pytest.approx(59 * 0.016, abs=0.1)
    lines = path.read_bytes().splitlines(keepends=True)
    halfway = sum(map(len, lines[:30]))
    ends = {n: Cursor(1, length_of(session.aligned / n), "") for n in ("latency.jsonl", "signals.jsonl")}
    stands = {f"aligned/{n}": cursor for n, cursor in ends.items()}
    assert feed.lag_s(stands) == 0
    assert feed.lag_s({**stands, "aligned/latency.jsonl": Cursor(1, halfway, "")}) == pytest.approx(0.48, abs=0.05)
    assert Feed(session.dir / "nowhere").lag_s({}) is None


def test_the_line_before_an_offset_is_the_whole_line(tmp_path: Path) -> None:
    random = Random(1)
    lines = [
        bytes([random.randrange(97, 123)]) * random.choice([0, 1, 50, 4095, 4096, 5000, 40_000]) for _ in range(60)
    ]
    path = tmp_path / "lines"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    offset = 0
    for line in lines:
        offset += len(line) + 1
        assert line_before(path, offset) == line
    assert hash_before(path, 0) == ""


def test_lines_with_the_same_end_have_different_hashes(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    first, second = b'{"a":1,' + b'"same":0' * 20 + b"}\n", b'{"a":2,' + b'"same":0' * 20 + b"}\n"
    path.write_bytes(first + second)
    assert hash_before(path, len(first)) != hash_before(path, len(first + second))


def test_cursors_survive_being_saved(tmp_path: Path) -> None:
    cursors = FileCursors(tmp_path, "parquet")
    assert cursors.load() == {}
    cursors.save({"aligned/latency.jsonl": Cursor(3, 512, "ab")})
    assert FileCursors(tmp_path, "parquet").load() == {"aligned/latency.jsonl": Cursor(3, 512, "ab")}
    cursors.clear()
    cursors.clear()
    assert cursors.load() == {}


def test_a_worker_that_cannot_be_closed_does_not_raise(session: Session) -> None:
    class Stubborn(ListSink):
        def close(self) -> None:
            raise OSError("busy")

    working: Worker = worker(session, Stubborn(session), "list")
    working.close()
    assert working.step() == 0.0
