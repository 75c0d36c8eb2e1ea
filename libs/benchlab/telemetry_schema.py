"""The tables of the telemetry logger: one SQL text for the stand-alone logger and for muxd's store.

Only the standard library, so that the logger runs where nothing else is installed. Source: the logger's own schema;
references/schema.md describes it. ``ts`` is epoch seconds and the key; what the original logger does not have
(``ts_ns``, ``node``, ``session``, ``sim``) stands last, so that a database of either program serves both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

NS_PER_S = 1_000_000_000

_TABLES = """
CREATE TABLE IF NOT EXISTS system_sample (
  ts INTEGER PRIMARY KEY, voltage REAL, current REAL, power REAL, battery_pct REAL,
  cpu_total REAL NOT NULL, cpu_freq REAL NOT NULL, load1 REAL NOT NULL, load5 REAL NOT NULL, load15 REAL NOT NULL,
  ts_ns INTEGER, node TEXT, session TEXT, sim INTEGER
);
CREATE TABLE IF NOT EXISTS cpu_core (
  ts INTEGER NOT NULL, core INTEGER NOT NULL, usage REAL NOT NULL,
  PRIMARY KEY (ts, core), FOREIGN KEY (ts) REFERENCES system_sample (ts) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS process_sample (
  ts INTEGER NOT NULL, pid INTEGER NOT NULL, name TEXT NOT NULL, cpu REAL NOT NULL, mem REAL NOT NULL,
  PRIMARY KEY (ts, pid), FOREIGN KEY (ts) REFERENCES system_sample (ts) ON DELETE CASCADE
);
"""

_ADDED = {"battery_pct": "REAL", "ts_ns": "INTEGER", "node": "TEXT", "session": "TEXT", "sim": "INTEGER"}
"""Columns that files of older programs lack."""

_INDEXES = """
CREATE INDEX IF NOT EXISTS system_sample_by_time ON system_sample (ts_ns);
CREATE INDEX IF NOT EXISTS system_sample_by_session ON system_sample (session);
"""

TRAINING_COLUMNS = """
  ts, cpu_total, cpu_freq, load1, load5, load15, voltage, current, power, battery_pct, ABS(power) AS watts,
  CASE WHEN current IS NULL THEN NULL WHEN current < 0 THEN -current * 1000.0 / 60.0 ELSE 0.0 END AS drain_mah_per_min,
  CASE WHEN current IS NULL THEN NULL WHEN current > 0 THEN current * 1000.0 / 60.0 ELSE 0.0 END AS charge_mah_per_min
"""
"""What ``training_view`` selects of system_sample."""

_VIEW = f"""
DROP VIEW IF EXISTS training_view;
CREATE VIEW training_view AS SELECT {TRAINING_COLUMNS} FROM system_sample;
"""

TABLES = ("system_sample", "cpu_core", "process_sample")

_SYSTEM_COLUMNS = (
    *("ts", "voltage", "current", "power", "battery_pct", "cpu_total", "cpu_freq", "load1", "load5", "load15"),
    *("ts_ns", "node", "session", "sim"),
)
INSERT_SYSTEM = (
    f"INSERT INTO system_sample ({', '.join(_SYSTEM_COLUMNS)}) VALUES ({', '.join('?' * len(_SYSTEM_COLUMNS))})"
)
INSERT_CORE = "INSERT INTO cpu_core (ts, core, usage) VALUES (?, ?, ?)"
INSERT_PROCESS = "INSERT INTO process_sample (ts, pid, name, cpu, mem) VALUES (?, ?, ?, ?, ?)"


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make the tables, or add what those of an older program lack. Raises sqlite3.Error.

    The caller holds a transaction; what is recorded stays as it is. The view is made anew each time.
    """
    run(connection, _TABLES)
    present = {row[1] for row in connection.execute("PRAGMA table_info(system_sample)")}
    for column, kind in _ADDED.items():
        if column not in present:
            connection.execute(f"ALTER TABLE system_sample ADD COLUMN {column} {kind}")
    run(connection, _INDEXES)
    run(connection, _VIEW)


def system_row(ts: int, ts_ns: int, values: Mapping[str, object], where: tuple[object, ...]) -> tuple[object, ...]:
    """Return a row for INSERT_SYSTEM: ``values`` by column, ``where`` is (node, session, sim)."""
    return (ts, *(values.get(column) for column in _SYSTEM_COLUMNS[1:-4]), ts_ns, *where)


def next_key(ts_ns: int, last: int | None) -> int:
    """Return the key of a sample: its second, moved behind the last key where that is taken or the clock went back."""
    second = ts_ns // NS_PER_S
    return second if last is None or second > last else last + 1


def last_key(connection: sqlite3.Connection) -> int | None:
    """Return the highest key, None where there is no row. Raises sqlite3.Error."""
    (found,) = connection.execute("SELECT MAX(ts) FROM system_sample").fetchone()
    return None if found is None else int(found)


def missing_columns(connection: sqlite3.Connection) -> list[str]:
    """Return what a table called system_sample lacks of the logger's own columns. Raises sqlite3.Error."""
    present = {row[1] for row in connection.execute("PRAGMA table_info(system_sample)")}
    return [name for name in _SYSTEM_COLUMNS if present and name not in present and name not in _ADDED]


def run(connection: sqlite3.Connection, script: str) -> None:
    """Execute statements one by one: executescript would end the caller's transaction."""
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)


def insert_sample(
    connection: sqlite3.Connection,
    system: Sequence[object],
    cores: Iterable[Sequence[object]],
    processes: Iterable[Sequence[object]],
) -> None:
    """Insert one sample; the first value of each row is its key. Raises sqlite3.Error."""
    connection.execute(INSERT_SYSTEM, system)
    connection.executemany(INSERT_CORE, cores)
    connection.executemany(INSERT_PROCESS, processes)
