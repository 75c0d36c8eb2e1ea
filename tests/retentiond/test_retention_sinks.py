"""What a sink has not taken yet is kept for it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

from benchlab.config_schema import Sinks
from benchlab.session import Session, list_sessions
from retentiond.sinks import unconsumed_by_sinks
from support.old_sessions import LINE, Old

LATENCY, BOOKMARKS = "aligned/latency.jsonl", "raw/bookmarks.jsonl"

Both = msgspec.defstruct(
    "Both", [("sqlite", bool, False), ("influx", bool, False), ("batch_max", int, 7)], bases=(Sinks,)
)


def sinks(*names: str) -> Sinks:
    """Return a configuration with these sinks switched on; numbers among its keys are no sinks."""
    made = Both(**dict.fromkeys(names, True))
    assert isinstance(made, Sinks)
    return made


@pytest.fixture
def old(tmp_path: Path) -> Old:
    """A muxed session with a bookmark in it."""
    made = Old(tmp_path, "dev", 30)
    (made.dir / "raw" / "bookmarks.jsonl").write_bytes(LINE)
    streams = {"pipeline.jsonl": {"offset": made.raw.stat().st_size}, "bookmarks.jsonl": {"offset": len(LINE)}}
    made.muxed(streams=streams, generation=2)
    return made


def lacking(old: Old, *names: str, stays: bool = True) -> list[str]:
    (session,) = list_sessions(old.dir.parent.parent)
    assert isinstance(session, Session)
    return unconsumed_by_sinks(session, sinks(*names), stays=stays)


def in_database(old: Old, cursors: dict[str, tuple[int, int]], session: str = "dev") -> Path:
    """Write the cursors of the sqlite sink, each a generation and an offset."""
    store = old.dir / "store" / "telemetry.db"
    store.parent.mkdir(exist_ok=True)
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE cursor (session, stream, generation, offset, hash, sim)")
        rows = [(session, stream, *place, "", 0) for stream, place in cursors.items()]
        connection.executemany("INSERT INTO cursor VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    return store


def whole(old: Old, generation: int = 2) -> dict[str, tuple[int, int]]:
    return {LATENCY: (generation, old.latency.stat().st_size), BOOKMARKS: (generation, len(LINE))}


def test_no_sink_switched_on_lacks_nothing(old: Old) -> None:
    assert lacking(old) == []


def test_store_with_everything_lacks_nothing_and_is_not_touched(old: Old) -> None:
    store = in_database(old, whole(old))
    before = {path.name: path.read_bytes() for path in store.parent.iterdir()}
    assert lacking(old, "sqlite") == []
    assert {path.name: path.read_bytes() for path in store.parent.iterdir()} == before


def test_rows_that_only_the_write_ahead_log_holds_count(old: Old) -> None:
    store = in_database(old, {})
    open_store = sqlite3.connect(store)
    open_store.executemany(
        "INSERT INTO cursor VALUES ('dev', ?, ?, ?, '', 0)", [(s, *place) for s, place in whole(old).items()]
    )
    open_store.commit()
    assert store.with_name("telemetry.db-wal").stat().st_size
    assert lacking(old, "sqlite") == []
    open_store.close()


@pytest.mark.parametrize("stream", [LATENCY, BOOKMARKS])
def test_stream_that_was_not_taken_whole_is_named_with_what_mends_it(old: Old, stream: str) -> None:
    generation, offset = whole(old)[stream]
    in_database(old, {**whole(old), stream: (generation, offset - 1)})
    (told,) = lacking(old, "sqlite")
    assert told == (f"sink sqlite has taken {offset - 1} of the {offset} bytes of {stream}: muxd --session dev --once")


def test_cursor_of_an_earlier_generation_has_taken_nothing(old: Old) -> None:
    in_database(old, whole(old, generation=1))
    (told,) = lacking(old, "sqlite")
    assert "has taken 0 of" in told


def test_store_that_is_missing_of_another_session_or_damaged_lacks_all(old: Old) -> None:
    assert len(lacking(old, "sqlite")) == 1
    store = in_database(old, whole(old), session="another")
    assert len(lacking(old, "sqlite")) == 1
    store.write_bytes(b"no database at all, but long enough to be looked at" * 99)
    (told,) = lacking(old, "sqlite")
    assert told.startswith("how far sink sqlite is cannot be told (telemetry.db: file is not a database)")


def test_store_within_the_session_keeps_raw_data_but_not_the_session_it_goes_with(old: Old) -> None:
    assert lacking(old, "sqlite", stays=True) != []
    assert lacking(old, "sqlite", stays=False) == []


def test_sink_elsewhere_keeps_the_session_until_it_has_all(old: Old) -> None:
    for stays in (True, False):
        assert len(lacking(old, "influx", stays=stays)) == 1
    cursors = {stream: {"generation": 2, "offset": offset, "hash": "x"} for stream, (_, offset) in whole(old).items()}
    path = old.dir / "state" / "sinks" / "influx.json"
    path.parent.mkdir()
    path.write_text(json.dumps(cursors))
    assert lacking(old, "influx", stays=False) == lacking(old, "influx") == []
    path.write_text("{")
    (told,) = lacking(old, "influx")
    assert told.startswith("how far sink influx is cannot be told (")


def test_every_sink_is_asked(old: Old) -> None:
    assert [told.split()[1] for told in lacking(old, "influx", "sqlite")] == ["sqlite", "influx"]
