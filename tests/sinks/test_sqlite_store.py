"""What is in the store is what is in the log, whatever happens to the store."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from benchlab.config import Config
from benchlab.session import Session
from muxd.settings import Settings
from muxd.sinks.sqlite_schema import MIGRATIONS
from muxd.sinks.sqlite_sink import SqliteSink, make
from muxd.sinks.worker import Worker
from support.isolation import in_namespace
from support.mux_scenarios import POWER
from support.mux_sessions import append, make_session, mux_closed, mux_open, opener, rows, stage
from support.sink_sessions import (
    assert_store_is_the_log,
    bookmark,
    drain,
    letters,
    marked_run,
    store,
    store_path,
    stored,
    tables,
    worker,
)
from support.tree import REPOSITORY

OTHER_PAIRS = Settings((("ingress", "encoded"), ("ingress", "sent")), tuple(tuple(entry) for entry in POWER))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = marked_run(tmp_path / "s")
    mux_closed(made)
    return made


def says(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_every_row_of_the_log_is_in_the_store_with_all_its_fields(session: Session) -> None:
    store(session)
    assert_store_is_the_log(session)
    assert len(stored(session, "latency")) == 60
    assert [row["reason"] for row in stored(session, "dropped")] == ["orphan"]
    assert [row["text"] for row in stored(session, "bookmark")] == ["first", "läßt nach"]


def test_storing_again_stores_nothing_twice(session: Session) -> None:
    store(session)
    before = tables(session)
    store(session)
    assert tables(session) == before


def test_only_what_is_vouched_for_is_stored(tmp_path: Path) -> None:
    session = marked_run(tmp_path / "s")
    mux_open(session)
    with (session.aligned / "latency.jsonl").open("ab") as file:
        file.write(rows_that_may_change(session))
    append(session, "bookmarks", [bookmark(1000, "not taken in yet")])
    store(session)
    assert [row["text"] for row in stored(session, "bookmark")] == ["first", "läßt nach"]
    vouched = len(stored(session, "latency"))
    assert 0 < vouched < len(rows(session))
    mux_closed(session)
    store(session)
    assert_store_is_the_log(session)


def rows_that_may_change(session: Session) -> bytes:
    return (session.aligned / "latency.jsonl").read_bytes().splitlines(keepends=True)[0]


def test_a_session_that_grows_is_stored_bit_by_bit(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    working = worker(session)
    for frame in range(0, 300, 3):
        append(session, "pipeline", [stage(frame * 16, "ingress", frame), stage(frame * 16 + 9, "encoded", frame)])
        if frame % 30 == 0:
            append(session, "bookmarks", [bookmark(frame * 16, f"frame {frame}")])
            mux_open(session)
            drain(working)
    mux_closed(session)
    drain(working).close()
    assert_store_is_the_log(session)
    assert len(stored(session, "bookmark")) == 10


def test_a_deleted_store_is_made_anew(session: Session) -> None:
    store(session)
    before = tables(session)
    store_path(session).unlink()
    store(session)
    assert tables(session) == before


def test_a_store_deleted_under_a_running_sink_is_made_anew(tmp_path: Path) -> None:
    session = marked_run(tmp_path / "s")
    mux_open(session)
    working = drain(worker(session))
    store_path(session).unlink()
    mux_closed(session)
    drain_again(working)
    assert_store_is_the_log(session)


def drain_again(working: Worker) -> None:
    """Step on until idle twice: what changed is noticed in between."""
    drain(working)
    drain(working).close()


def test_an_older_copy_put_back_under_a_running_sink_is_gone_on_with(tmp_path: Path) -> None:
    session = marked_run(tmp_path / "s")
    mux_open(session)
    store(session)
    copy = shutil.copy(store_path(session), tmp_path / "backup.db")
    append(session, "pipeline", [stage(1500, "ingress", 900), stage(1510, "encoded", 900), stage(1990, "x", 1)])
    append(session, "benchlab", [stage(1990, "none")])
    mux_open(session)
    working = drain(worker(session))
    Path(copy).replace(store_path(session))
    mux_closed(session)
    drain_again(working)
    assert_store_is_the_log(session)


@pytest.mark.parametrize("damage", ["header", "middle", "truncated", "text"])
def test_a_damaged_store_is_set_aside_and_made_anew_in_one_log_line(
    session: Session, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store(session)
    before = tables(session)
    broken = damaged(store_path(session).read_bytes(), damage)
    store_path(session).write_bytes(broken)
    store(session)
    assert tables(session) == before
    (aside,) = session.store.glob("telemetry.db.corrupt-*Z")
    assert aside.read_bytes() == broken
    (line,) = says(caplog)
    assert "is damaged" in line and aside.name in line


def damaged(data: bytes, how: str) -> bytes:
    half = len(data) // 2
    return {
        "header": b"\xff" * 100 + data[100:],
        "middle": data[:half] + os.urandom(4096) + data[half + 4096 :],
        "truncated": data[:half],
        "text": b"this is no database\n" * 100,
    }[how]


def test_damage_met_while_writing_is_set_aside_too(tmp_path: Path) -> None:
    session = marked_run(tmp_path / "s")
    mux_open(session)
    working = drain(worker(session))
    with sqlite3.connect(store_path(session)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with store_path(session).open("rb+") as file:
        file.seek(100)
        file.write(b"\xff" * (store_path(session).stat().st_size - 100))
    append(session, "bookmarks", [bookmark(2000, "behind the damage")])
    mux_closed(session)
    drain_again(working)
    assert_store_is_the_log(session)
    assert len(list(session.store.glob("telemetry.db.corrupt-*Z"))) == 1


def test_two_damaged_stores_of_one_second_are_both_kept(session: Session) -> None:
    for _ in range(2):
        store_path(session).parent.mkdir(exist_ok=True)
        store_path(session).write_bytes(b"no database " * 100)
        working = worker(session, SqliteSink(store_path(session), session.info.id, None, now=lambda: "T"))
        drain_again(working)
    assert {path.name for path in session.store.glob("*corrupt*") if not path.name.endswith("-wal")} == {
        "telemetry.db.corrupt-T",
        "telemetry.db.corrupt-T-2",
    }


def test_a_rebuild_with_other_pairs_replaces_the_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = marked_run(tmp_path / "s")
    append(session, "pipeline", [stage(2000, "ingress", 500), stage(2020, "sent", 500), stage(2500, "x", 1)])
    mux_closed(session)
    store(session)
    mux = opener(session, OTHER_PAIRS).rebuild("other pairs")
    mux.finish()
    mux.close()
    store(session)
    assert_store_is_the_log(session)
    assert {row["to_stage"] for row in stored(session, "latency")} == {"encoded", "sent"}
    assert "generation 1" in says(caplog)[-1]


def test_a_rebuild_under_a_running_sink_replaces_the_rows(session: Session) -> None:
    working = drain(worker(session))
    mux = opener(session, OTHER_PAIRS).rebuild("other pairs")
    mux.finish()
    mux.close()
    drain_again(working)
    assert_store_is_the_log(session)


def test_while_a_rebuild_is_under_way_nothing_is_read(session: Session) -> None:
    store(session)
    before = tables(session)
    checkpoint = session.state / "mux.json"
    said = checkpoint.read_bytes()
    checkpoint.write_bytes(b'{"generation":2,"outputs":{"late.jsonl":0},"rebuilding":true}')
    store(session)
    assert tables(session) == before
    checkpoint.write_bytes(said)
    store(session)
    assert tables(session) == before


def test_a_line_changed_before_the_cursor_makes_the_rows_be_written_again(session: Session) -> None:
    store(session)
    latency = session.aligned / "latency.jsonl"
    data = latency.read_bytes()
    last = data.rindex(b'"lat_ms":10.0')
    latency.write_bytes(data[:last] + b'"lat_ms":11.0' + data[last + 13 :])
    store(session)
    assert_store_is_the_log(session)
    assert stored(session, "latency")[-1]["lat_ms"] == 11.0


def test_raw_files_that_were_trimmed_leave_the_bookmarks_stored(session: Session) -> None:
    store(session)
    before = tables(session)
    (session.raw / "bookmarks.jsonl").unlink()
    store(session)
    assert tables(session) == before


def test_two_sessions_in_one_store_do_not_touch_each_other(tmp_path: Path) -> None:
    first, second = marked_run(tmp_path / "a"), marked_run(tmp_path / "b", frames=90)
    for session in (first, second):
        mux_closed(session)
    store(first)
    (second.dir / "store").symlink_to(first.dir / "store")
    store(second)
    mux = opener(second, OTHER_PAIRS).rebuild("other pairs")
    mux.finish()
    mux.close()
    store(second)
    counts = {name: sum(row["session"] == name for row in stored(first, "latency")) for name in ("a", "b")}
    assert counts == {"a": 60, "b": 90}


def test_a_store_locked_by_another_writer_is_waited_for(session: Session) -> None:
    store(session)
    with sqlite3.connect(store_path(session)) as connection:
        connection.execute("DELETE FROM latency")
        connection.execute("DELETE FROM cursor")
    other = sqlite3.connect(store_path(session), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    working = worker(session)
    assert working.step() > 0
    assert working.failing is not None and "locked" in working.failing
    other.execute("ROLLBACK")
    other.close()
    working.step()
    drain(working).close()
    assert_store_is_the_log(session)


def test_a_store_that_another_sink_has_filled_meanwhile_is_gone_on_with(tmp_path: Path) -> None:
    session = marked_run(tmp_path / "s")
    mux_open(session)
    working, other = drain(worker(session)), drain(worker(session))
    mux_closed(session)
    drain(other).close()
    drain_again(working)
    assert_store_is_the_log(session)
    assert letters(session) == []


def test_a_reader_is_never_blocked_and_sees_whole_transactions(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    mux_open(session)
    working = drain(worker(session))
    reader = sqlite3.connect(f"{store_path(session).as_uri()}?mode=ro", uri=True, timeout=0, check_same_thread=False)
    ended, seen, broken = threading.Event(), [0], []

    def read() -> None:
        while not ended.is_set():
            # a snapshot in which rows and cursor do not agree is no transaction's end
            rows, frames = reader.execute(
                "SELECT COUNT(*), (SELECT COUNT(*) FROM cursor WHERE stream LIKE '%latency%') FROM latency"
            ).fetchone()
            if bool(rows) != bool(frames) or rows < seen[-1]:
                broken.append((rows, frames))
            seen.append(rows)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for frame in range(2000):
            append(session, "pipeline", [stage(frame * 16, "ingress", frame), stage(frame * 16 + 9, "encoded", frame)])
            if frame % 100 == 0:
                mux_open(session)
                drain(working)
    finally:
        ended.set()
        thread.join()
        reader.close()
        working.close()
    assert broken == []
    assert len(set(seen)) > 2


def test_a_reader_that_holds_its_snapshot_does_not_stop_the_sink(tmp_path: Path) -> None:
    session = marked_run(tmp_path / "s")
    mux_open(session)
    working = drain(worker(session))
    reader = sqlite3.connect(f"{store_path(session).as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    (before,) = reader.execute("SELECT COUNT(*) FROM latency").fetchone()
    mux_closed(session)
    drain(working).close()
    assert reader.execute("SELECT COUNT(*) FROM latency").fetchone() == (before,)
    reader.close()
    assert_store_is_the_log(session)
    assert len(stored(session, "latency")) > before


def test_a_store_of_a_newer_program_is_left_alone(session: Session) -> None:
    store(session)
    with sqlite3.connect(store_path(session)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    working = worker(session)
    working.step()
    assert working.failing is not None and "a newer muxd made it" in working.failing
    assert list(session.store.glob("*corrupt*")) == []


def test_the_settings_of_the_connection_are_the_promised_ones(session: Session) -> None:
    sink = make(session, Config())
    sink.open()
    assert sink._connection is not None
    found = [
        sink._connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "synchronous", "foreign_keys")
    ]
    sink.close()
    assert found == ["wal", 1, 1]
    assert store_path(session).stat().st_mode & 0o777 == 0o640


def test_what_no_column_can_hold_is_kept_as_text(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    huge = 2**70
    append(session, "pipeline", [stage(0, "ingress", huge), stage(9, "encoded", huge), stage(20, "ingress", "tëxt")])
    mux_closed(session)
    store(session)
    assert stored(session, "latency")[0]["frame"] == str(huge)
    assert stored(session, "dropped")[0]["frame"] == "tëxt"
    assert letters(session) == []


FULL = """
import sys
from pathlib import Path

sys.path.append(sys.argv[3])
from support.mux_sessions import mux_closed
from support.sink_sessions import assert_store_is_the_log, drain, marked_run, store_path, worker

session = marked_run(Path(sys.argv[1]) / "s", frames=3000)
mux_closed(session)
filler = Path(sys.argv[2]) / "filler"
(session.dir / "store").symlink_to(sys.argv[2])
working = worker(session)
while working.step() == 0.0:
    pass
print("full", working.failing)
filler.unlink()
while not working.is_idle:
    working.step()
assert working.failing is None, working.failing
working.close()
assert_store_is_the_log(session)
print("whole")
"""


def test_a_full_disk_is_waited_for_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    setup = f"mount -t tmpfs -o size=4m none {small} && head -c 3500000 /dev/zero > {small}/filler"
    done = in_namespace(setup, FULL, tmp_path, small, REPOSITORY / "tests")
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert "full" in first and ("disk is full" in first or "No space" in first or "I/O error" in first)
    assert last == "whole"
