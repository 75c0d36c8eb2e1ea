"""What a sink has not taken yet is kept for it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchlab.config_schema import Sinks
from benchlab.session import Session, list_sessions
from retentiond.consumed import unconsumed_by_mux
from retentiond.sinks import unconsumed_by_sinks
from support.old_sessions import LINE, Old

Run = Callable[..., "subprocess.CompletedProcess[str]"]

LATENCY, BOOKMARKS, PIMON = "aligned/latency.jsonl", "raw/bookmarks.jsonl", "raw/pimon.jsonl"
VMSTAT = "raw/vmstat.jsonl"

Both = msgspec.defstruct("Both", [("batch_max", int, 7)], bases=(Sinks,))


def sinks(*names: str) -> Sinks:
    """Return a configuration with these sinks switched on; numbers among its keys are no sinks."""
    made = Both(**dict.fromkeys(names, True))
    assert isinstance(made, Sinks)
    return made


@pytest.fixture
def old(tmp_path: Path) -> Old:
    """A muxed session with a bookmark, a tick of pimon and a reading of a guest in it."""
    made = Old(tmp_path, "dev", 30)
    streams = {"pipeline.jsonl": {"offset": made.raw.stat().st_size}}
    for name in ("bookmarks.jsonl", "pimon.jsonl", "vmstat.jsonl"):
        (made.dir / "raw" / name).write_bytes(LINE)
        streams[name] = {"offset": len(LINE)}
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
    raw = (generation, len(LINE))
    return {LATENCY: (generation, old.latency.stat().st_size), BOOKMARKS: raw, PIMON: raw, VMSTAT: raw}


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


@pytest.mark.parametrize("stream", [LATENCY, BOOKMARKS, PIMON, VMSTAT])
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


def test_real_muxd_and_store_satisfy_it_once_they_have_run(tmp_path: Path, run: Run) -> None:
    lines = [
        {"ts_ns": 1763800000000000000 + 10**7 * n, "source": "pipeline", "kv": {"stage": stage, "frame": n // 2}}
        for n, stage in enumerate(["ingress", "encoded"] * 50)
    ]
    raw = tmp_path / "sessions" / "2025-11-22T08-26-40Z" / "raw"
    raw.mkdir(parents=True)
    (raw / "pipeline.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mark = {"ts_ns": 1763800000500000000, "source": "bookmark", "kv": {"text": "here"}}
    (raw / "bookmarks.jsonl").write_text(json.dumps(mark) + "\n")
    (session,) = list_sessions(tmp_path)
    muxd = ("muxd", "--data-root", str(tmp_path), "--session", session.name, "--once")

    assert "never muxed" in str(unconsumed_by_mux(session, stays=True))
    assert run(*muxd, BENCHLAB_SINKS_SQLITE="false").returncode == 0
    assert unconsumed_by_mux(session, stays=True) is None
    assert len(unconsumed_by_sinks(session, sinks("sqlite"), stays=True)) == 1
    assert run(*muxd, BENCHLAB_SINKS_SQLITE="true").returncode == 0
    assert unconsumed_by_sinks(session, sinks("sqlite"), stays=True) == []

    aligned = (session.dir / "aligned" / "latency.jsonl").read_bytes()
    args = ("retentiond", "--data-root", str(tmp_path), "--run-once", "--raw-keep-days", "0", "--days", "36500")
    assert run(*args, BENCHLAB_SINKS_SQLITE="true").returncode == 0
    assert list(raw.iterdir()) == []
    assert run(*muxd).returncode == 0  # the session is final: muxd leaves what it has made of it
    assert (session.dir / "aligned" / "latency.jsonl").read_bytes() == aligned
