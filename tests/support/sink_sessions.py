"""Sinks at work on sessions that a test writes by hand, a step at a time, and what a store must then hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchlab.config import Config
from benchlab.event import Event
from benchlab.session import Session
from muxd.sinks.cursor import Cursors, FileCursors
from muxd.sinks.feed import Feed
from muxd.sinks.letters import DeadLetters
from muxd.sinks.sink import Record, Sink
from muxd.sinks.sqlite_sink import make
from muxd.sinks.worker import Worker
from support.mux_scenarios import T0
from support.mux_sessions import MS, append, make_session, meta, numbered, record, stage, usual_run

VM_TABLES = {
    "vm_metrics": ("state", "cpu_count", "memory_max_kb", "memory_used_kb", "cputime_ns"),
    "vm_features": ("memory_rate_kb_per_sec", "memory_angle_deg"),
}


def store_path(session: Session) -> Path:
    return session.dir / "store" / "telemetry.db"


def letters_path(session: Session, name: str = "sqlite") -> Path:
    return session.dir / "quarantine" / f"{name}.jsonl"


def letters(session: Session, name: str = "sqlite") -> list[dict[str, Any]]:
    path = letters_path(session, name)
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def worker(session: Session, sink: Sink | None = None, name: str = "sqlite") -> Worker:
    """Return a worker that a test steps by hand; SQLite unless told otherwise."""
    sink = sink or make(session, Config())
    return Worker(name, sink, Feed(session.dir), DeadLetters(letters_path(session, name)), chance=lambda: 1.0)


def drain(working: Worker, limit: int = 10_000) -> Worker:
    """Step until there is nothing left to do; a step that fails ends the test."""
    for _ in range(limit):
        working.step()
        assert working.failing is None, working.failing
        if working.is_idle:
            return working
    raise AssertionError("never idle")


def store(session: Session) -> Worker:
    """Store all that is vouched for, as a program that is started, works and ends."""
    working = drain(worker(session))
    working.close()
    return working


def marked_run(folder: Path, frames: int = 60) -> Session:
    """Return a session with pairs, drops, signals and a bookmark, not muxed yet."""
    session = make_session(folder)
    record(session, usual_run(frames=frames))
    length = frames * 16
    append(session, "other", numbered([meta(-5, "start"), stage(3, "encoded", "orphan"), meta(length + 99, "alive")]))
    append(session, "bookmarks", numbered([meta(1, "start"), bookmark(5, "first"), meta(5, "stop")]))
    append(session, "bookmarks", [meta(length, "start"), bookmark(length, "läßt nach"), meta(length, "stop")])
    return session


def bookmark(ms: float, text: str) -> Event:
    return Event(ts_ns=T0 + int(ms * MS), source="bookmark", kv={"text": text})


def stored(session: Session, table: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"{store_path(session).as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY session, offset")]
    finally:
        connection.close()


def has_rows(session: Session, table: str = "latency") -> bool:
    """Tell whether a store that somebody else may be making has rows in a table yet."""
    try:
        return bool(stored(session, table))
    except sqlite3.OperationalError:
        return False


def tables(session: Session) -> dict[str, list[dict[str, Any]]]:
    return {name: stored(session, name) for name in ("latency", "dropped", "signal", "bookmark", *VM_TABLES, "cursor")}


def lines_with_offsets(path: Path) -> list[tuple[int, dict[str, Any]]]:
    found, offset = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        found.append((offset, msgspec.json.decode(line)))
        offset += len(line)
    return found


def expected(session: Session) -> dict[str, list[dict[str, Any]]]:
    """Return what the tables must hold, worked out the slow and obvious way, without columns that are null."""
    found: dict[str, list[dict[str, Any]]] = {"latency": [], "dropped": [], "signal": [], "bookmark": []}
    for offset, row in lines_with_offsets(session.aligned / "latency.jsonl"):
        kv = dict(row["kv"])
        start, end = kv.pop("pair")
        common = {"offset": offset, "ts_ns": row["ts_aligned_ns"], "from_stage": start, "to_stage": end}
        common |= {"sim": int(row.get("sim", False))} | kv
        if row["source"] == "metric.latency":
            common |= {"sim_of": msgspec.json.encode(row["sim_of"]).decode()} if "sim_of" in row else {}
            common |= {"unc_ns": row["unc_ns"]} if "unc_ns" in row else {}
        found["latency" if row["source"] == "metric.latency" else "dropped"].append(common)
    for offset, row in lines_with_offsets(session.aligned / "signals.jsonl"):
        common = {"offset": offset, "ts_ns": row["ts_aligned_ns"], "source": row["source"]}
        common |= {"sim": int(row.get("sim", False))} | {k: row[k] for k in ("dev", "unc_ns") if k in row}
        for key, value in sorted(row["kv"].items()):
            found["signal"].append(common | {"key": key, "text" if isinstance(value, str) else "value": value})
    found |= _expected_vms(session.raw / "vmstat.jsonl")
    if (path := session.raw / "bookmarks.jsonl").exists():
        for offset, row in lines_with_offsets(path):
            if row["source"] == "bookmark":
                said = msgspec.json.encode(row["kv"]).decode()
                place = {"stream": "raw/bookmarks.jsonl", "offset": offset, "ts_ns": row["ts_ns"]}
                found["bookmark"].append(place | {"text": row["kv"]["text"], "kv": said, "sim": 0})
    return found


def _expected_vms(path: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in VM_TABLES}
    for offset, row in lines_with_offsets(path) if path.exists() else []:
        if row["source"] != "vm.libvirt":
            continue
        kv, common = row["kv"], {"offset": offset, "ts_ns": row["ts_ns"], "sim": int(row.get("sim", False))}
        common |= {"VMID": kv["vmid"], "name": kv["name"], "uuid": row["dev"]}
        for table, columns in VM_TABLES.items():
            if said := {key: kv[key] for key in columns if key in kv}:
                found[table].append(common | said)
    return found


def assert_store_is_the_log(session: Session) -> None:
    """Hold every row of the store against the files, and the cursors against their lengths."""
    for table, rows in expected(session).items():
        found = [{k: v for k, v in row.items() if v is not None} for row in stored(session, table)]
        for row in found:
            assert row.pop("session") == session.info.id
            assert row.pop("node", None) == session.info.node
        if table == "signal":
            found.sort(key=lambda row: (row["offset"], row["key"]))
        assert found == rows, table
    cursors = {row["stream"]: row["offset"] for row in stored(session, "cursor")}
    files = ("aligned/latency.jsonl", "aligned/signals.jsonl", "raw/bookmarks.jsonl", "raw/vmstat.jsonl")
    lengths = {name: size for name in files if (size := length_of(session.dir / name))}
    assert cursors == lengths


def length_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class ListSink:
    """A sink whose store is a list in memory, its cursors in a file; ``before`` may refuse a batch."""

    def __init__(self, session: Session, before: Callable[[Sequence[Record]], None] = lambda _: None) -> None:
        self.records: list[Record] = []
        self.before = before
        self.cursors = FileCursors(session.dir / "state", "list")

    def open(self) -> Cursors:
        return self.cursors.load()

    def write(self, batch: Sequence[Record], cursors: Cursors) -> None:
        self.before(batch)
        self.records += batch
        self.cursors.save(cursors)

    def clear(self) -> None:
        self.cursors.clear()
        self.records.clear()

    def close(self) -> None:
        pass

    def places(self) -> list[tuple[str, int]]:
        return [(record.stream, record.offset) for record in self.records]


def places(session: Session) -> list[tuple[str, int]]:
    """Return where every record of a session is, that a sink must be given."""
    found = [(f"aligned/{n}", o) for n in ("latency.jsonl", "signals.jsonl") for o, _ in _lines(session.aligned / n)]
    raw = _lines(session.raw / "bookmarks.jsonl")
    return found + [("raw/bookmarks.jsonl", offset) for offset, row in raw if row["source"] == "bookmark"]


def _lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    return lines_with_offsets(path) if path.exists() else []
