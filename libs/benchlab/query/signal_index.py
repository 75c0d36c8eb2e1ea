"""What the index keeps of ``aligned/signals.jsonl``: each number of each source and device, in blocks."""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchlab.event import Aligned
from benchlab.log.reader import Batch
from benchlab.query.segments import Range, read_range

TABLES = ("series", "signal_block")
SCHEMA = """
CREATE TABLE series (id INTEGER PRIMARY KEY, source TEXT NOT NULL, dev TEXT NOT NULL, key TEXT NOT NULL,
  sim INTEGER NOT NULL, UNIQUE (source, dev, key));
CREATE TABLE signal_block (series INTEGER NOT NULL, segment INTEGER NOT NULL, number INTEGER NOT NULL,
  t_min INTEGER NOT NULL, t_max INTEGER NOT NULL, n INTEGER NOT NULL,
  low REAL NOT NULL, total REAL NOT NULL, high REAL NOT NULL,
  PRIMARY KEY (series, segment, number)) WITHOUT ROWID;
"""

VALUES = 32
"""The most values of a block."""

_OURS = "metric.late"  # about lines, not about the machine

Address = tuple[str, str, str]
"""Source, device ("" where there is only one), key."""


class Values:
    """The values of one series by time, as they lie in the file; ``sim`` if any was simulated."""

    def __init__(self) -> None:
        self.ts_ns: array[int] = array("q")
        self.values: array[float] = array("d")
        self.sim = False

    def within(self, from_ns: int, to_ns: int) -> list[tuple[int, float]]:
        """Return time and value with ``from_ns <= time < to_ns``, by time."""
        both = zip(self.ts_ns, self.values, strict=True)
        return sorted(pair for pair in both if from_ns <= pair[0] < to_ns)


class Span(NamedTuple):
    """Values that follow each other, summed up."""

    t_min: int
    t_max: int
    n: int
    low: float
    total: float
    high: float


@dataclass(frozen=True)
class Part:
    """The values of a series in one segment."""

    segment: int
    where: Range
    n: int
    t_min: int
    t_max: int


def take(batch: Batch[Aligned], found: dict[Address, Values], wanted: Callable[[Address], bool] | None = None) -> int:
    """Sort the numbers of a batch by series, of those that are ``wanted``; return how many lines are bad.

    A state is 0 or 1, text is left out.
    """
    for row in batch.rows:
        if row.source == _OURS:
            continue
        source, dev, ts_ns, sim = row.source, row.dev or "", row.ts_aligned_ns, row.sim
        for key, value in row.kv.items():
            number = _number(value)
            if number is None:
                continue
            address = (source, dev, key)
            series = found.get(address)
            if series is None:
                if wanted is not None and not wanted(address):
                    continue
                series = found[address] = Values()
            series.ts_ns.append(ts_ns)
            series.values.append(number)
            series.sim = series.sim or sim
    return len(batch.bad)


def _number(value: object) -> float | None:
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def span_of(values: Sequence[tuple[int, float]]) -> Span:
    """Sum up values, of which there must be one."""
    times, numbers = zip(*values, strict=True)
    return Span(min(times), max(times), len(numbers), min(numbers), sum(numbers), max(numbers))


def both(a: Span, b: Span) -> Span:
    """Return two spans as one."""
    return Span(
        min(a.t_min, b.t_min),
        max(a.t_max, b.t_max),
        a.n + b.n,
        min(a.low, b.low),
        a.total + b.total,
        max(a.high, b.high),
    )


def take_segment(connection: sqlite3.Connection, number: int, path: Path, where: Range) -> int:
    """Sum a segment up; return how many of its lines are bad. Raises Fault (IO), RawChanged."""
    found: dict[Address, Values] = {}
    bad = sum(take(batch, found) for batch in read_range(path, Aligned, where))
    for address, series in found.items():
        id_ = _id(connection, address, series.sim)
        rows = [(id_, number, i, *span) for i, span in enumerate(_spans(series))]
        connection.executemany("INSERT INTO signal_block VALUES (?,?,?,?,?,?,?,?,?)", rows)
    return bad


def _spans(series: Values) -> Iterator[Span]:
    for start in range(0, len(series.values), VALUES):
        times, numbers = series.ts_ns[start : start + VALUES], series.values[start : start + VALUES]
        yield Span(min(times), max(times), len(numbers), min(numbers), sum(numbers), max(numbers))


def _id(connection: sqlite3.Connection, address: Address, sim: bool) -> int:
    sql = "SELECT id, sim FROM series WHERE source = ? AND dev = ? AND key = ?"
    row = connection.execute(sql, address).fetchone()
    if row is None:
        (id_,) = connection.execute("SELECT COUNT(*) FROM series").fetchone()
        connection.execute("INSERT INTO series VALUES (?,?,?,?,?)", (id_, *address, sim))
        return int(id_)
    if sim and not row[1]:
        connection.execute("UPDATE series SET sim = 1 WHERE id = ?", (row[0],))
    return int(row[0])


def all_series(connection: sqlite3.Connection) -> dict[Address, tuple[int, bool]]:
    """Return every series with its number, and whether any of it was simulated."""
    rows = connection.execute("SELECT source, dev, key, id, sim FROM series ORDER BY id")
    return {(source, dev, key): (id_, bool(sim)) for source, dev, key, id_, sim in rows}


def parts(connection: sqlite3.Connection, id_: int, from_ns: int, to_ns: int) -> list[Part]:
    """Return the segments that have values of a series in a stretch of time."""
    sql = """SELECT segment, start, end, SUM(n), MIN(t_min), MAX(t_max) FROM signal_block
        JOIN segment ON file = 'signals.jsonl' AND segment.number = segment
        WHERE series = ? AND t_max >= ? AND t_min < ? GROUP BY segment"""
    rows = connection.execute(sql, (id_, from_ns, to_ns))
    return [Part(row[0], (row[1], row[2]), *row[3:]) for row in rows]


def spans(connection: sqlite3.Connection, id_: int, segments: Sequence[int]) -> Iterator[Span]:
    """Yield the blocks of a series in whole segments."""
    if segments:
        sql = """SELECT segment, t_min, t_max, n, low, total, high FROM signal_block
            WHERE series = ? AND segment BETWEEN ? AND ?"""
        wanted = set(segments)
        for segment, *span in connection.execute(sql, (id_, min(segments), max(segments))):
            if segment in wanted:
                yield Span(*span)
