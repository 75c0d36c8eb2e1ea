"""Fields of virtual machines from ``store/telemetry.db`` (references/schema.md), if the sqlite sink keeps it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from benchlab.query.signal_index import Span
from webd.vms.columns import FEATURES, METRICS, Found

STORE = "telemetry.db"
_TABLES = {**dict.fromkeys(METRICS, "vm_metrics"), **dict.fromkeys(FEATURES, "vm_features")}


def from_store(folder: Path, uuid: str, key: str, from_ns: int, to_ns: int, points: int) -> Found | None:
    """Return a field from a session's store; None where the store does not hold this VM, or not this field.

    Raises sqlite3.Error if it cannot be read.
    """
    path = folder / "store" / STORE
    table = _TABLES.get(key)
    if table is None or not path.exists():
        return None
    with closing(opened(path)) as connection:
        try:
            if connection.execute(f"SELECT 1 FROM {table} WHERE uuid = ? LIMIT 1", [uuid]).fetchone() is None:
                return None
        except sqlite3.OperationalError:
            return None  # a store of before there were VMs
        return _read(connection, table, key, (uuid, from_ns, to_ns), points)


def opened(path: Path) -> sqlite3.Connection:
    """Open a store for reading; one that nobody writes gets no files beside it."""
    is_written = path.with_name(f"{path.name}-wal").exists()
    return sqlite3.connect(f"{path.resolve().as_uri()}?{'mode=ro' if is_written else 'immutable=1'}", uri=True)


def _read(connection: sqlite3.Connection, table: str, key: str, which: tuple[str, int, int], points: int) -> Found:
    # table and key are of the tuples above
    where = f"FROM {table} WHERE uuid = ? AND ts_ns >= ? AND ts_ns < ? AND {key} IS NOT NULL"
    connection.execute("BEGIN")
    count, first, last, sim = connection.execute(
        f"SELECT COUNT(*), MIN(ts_ns), MAX(ts_ns), MAX(sim) {where}", which
    ).fetchone()
    if count <= points:
        return Found(
            "store",
            connection.execute(f"SELECT ts_ns, {key} {where} ORDER BY ts_ns", which).fetchall(),
            None,
            bool(sim),
        )
    width_ns = -(-(last - first + 1) // points)
    rows = connection.execute(
        f"SELECT MIN(ts_ns), MAX(ts_ns), COUNT(*), MIN({key}), SUM(1.0 * {key}), MAX({key}) {where} "
        "GROUP BY (ts_ns - ?) / ? ORDER BY 1",
        (*which, first, width_ns),
    )
    return Found("store", [], [Span(*row) for row in rows], bool(sim))
