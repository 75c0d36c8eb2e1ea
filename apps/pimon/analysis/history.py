"""Reading a telemetry logger's database, whoever made it: by the names of its columns, beside whoever writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

NS_PER_S = 1_000_000_000
BUSY_S = 5.0


class Unreadable(Exception):
    """There is no such database, or it is none of a telemetry logger; the message says what was found."""


@dataclass(frozen=True)
class Reading:
    """The battery at one time; negative is discharging, None not measured."""

    time_s: float
    pct: float | None
    power_w: float | None
    current_a: float | None
    is_simulated: bool = False


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database read-only. Raises Unreadable."""
    if not path.is_file():
        raise Unreadable(f"{path}: found no such file, expected a database of the telemetry logger")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
            if not columns(connection):
                raise Unreadable(f"{path}: found no table system_sample, expected a database of the telemetry logger")
            yield connection
    except sqlite3.Error as error:
        raise Unreadable(f"{path}: {error}") from error


def columns(connection: sqlite3.Connection) -> set[str]:
    """Return the columns of system_sample; older databases lack some."""
    return {row[1] for row in connection.execute("PRAGMA table_info(system_sample)")}


def time_of(present: set[str]) -> str:
    """Return the SQL of a sample's true time in seconds: the key may have been moved."""
    return f"COALESCE(s.ts_ns / {NS_PER_S}.0, s.ts)" if "ts_ns" in present else "s.ts"


def readings(path: Path) -> list[Reading]:
    """Return what a database says of the battery, in the order of its keys. Raises Unreadable."""
    with opened(path) as connection:
        present = columns(connection)
        pct = "s.battery_pct" if "battery_pct" in present else "NULL"
        sim = "COALESCE(s.sim, 0)" if "sim" in present else "0"
        query = f"SELECT {time_of(present)}, {pct}, s.power, s.current, {sim} FROM system_sample AS s ORDER BY s.ts"
        rows = connection.execute(query)
        return [Reading(time_s, pct, watts, amperes, bool(sim)) for time_s, pct, watts, amperes, sim in rows]
