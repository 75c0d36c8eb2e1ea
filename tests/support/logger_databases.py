"""Databases as the original telemetry logger made them, and what a test reads of a database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

PLAIN = """
CREATE TABLE system_sample (
    ts INTEGER PRIMARY KEY, voltage REAL, current REAL, power REAL, battery_pct REAL,
    cpu_total REAL NOT NULL, cpu_freq REAL NOT NULL,
    load1 REAL NOT NULL, load5 REAL NOT NULL, load15 REAL NOT NULL
);
"""
OLDER = """
CREATE TABLE system_sample (
    ts INTEGER PRIMARY KEY, voltage REAL, current REAL, power REAL,
    cpu_total REAL NOT NULL, cpu_freq REAL NOT NULL,
    load1 REAL NOT NULL, load5 REAL NOT NULL, load15 REAL NOT NULL
);
ALTER TABLE system_sample ADD COLUMN battery_pct REAL;
"""
OTHERS = """
CREATE TABLE cpu_core (
    ts INTEGER NOT NULL, core INTEGER NOT NULL, usage REAL NOT NULL,
    PRIMARY KEY (ts, core), FOREIGN KEY (ts) REFERENCES system_sample(ts) ON DELETE CASCADE
);
CREATE TABLE process_sample (
    ts INTEGER NOT NULL, pid INTEGER NOT NULL, name TEXT NOT NULL, cpu REAL NOT NULL, mem REAL NOT NULL,
    PRIMARY KEY (ts, pid), FOREIGN KEY (ts) REFERENCES system_sample(ts) ON DELETE CASCADE
);
CREATE VIEW training_view AS SELECT ts, cpu_total, ABS(power) AS watts FROM system_sample;
"""
SCHEMAS = {"plain": PLAIN, "battery_pct last": OLDER, "without battery_pct": "\n".join(OLDER.splitlines()[:-1])}


def original(path: Path, schema: str, seconds: Sequence[int]) -> Path:
    """Make a database of the original logger with a sample at each of these seconds."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL;{schema}{OTHERS}")
        for ts in seconds:
            connection.execute(
                "INSERT INTO system_sample (ts, voltage, current, power, cpu_total, cpu_freq, load1, load5, load15) "
                "VALUES (?, 7.5, -0.4, -3.0, 12.5, 1500.0, 0.1, 0.2, 0.3)",
                (ts,),
            )
            connection.execute("INSERT INTO cpu_core VALUES (?, 0, 12.5)", (ts,))
            connection.execute("INSERT INTO process_sample VALUES (?, 1, '/sbin/init splash', 0.5, 0.1)", (ts,))
        connection.commit()
    return path


def asked(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def sound(path: Path) -> bool:
    """Whether SQLite finds no damage, and every row of the other tables has its sample."""
    return asked(path, "PRAGMA integrity_check") == [("ok",)] and asked(path, "PRAGMA foreign_key_check") == []
