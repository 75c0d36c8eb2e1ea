"""What the index keeps of ``aligned/latency.jsonl``: blocks of frames, and by segment a sketch and the drops."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchlab.query.aligned import Pair
from benchlab.query.blocks import Block, blocks_of, both
from benchlab.query.pair_rows import ByPair, LatencyLine, PairRows, take
from benchlab.query.segments import Range, read_range
from benchlab.query.sketch import Sketch

TABLES = ("pair", "pair_segment", "block")
SCHEMA = """
CREATE TABLE pair (id INTEGER PRIMARY KEY, from_stage TEXT NOT NULL, to_stage TEXT NOT NULL,
  frames INTEGER NOT NULL, drops INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
  newest_frame_ns INTEGER, simulated TEXT NOT NULL, UNIQUE (from_stage, to_stage));
CREATE TABLE pair_segment (pair INTEGER NOT NULL, segment INTEGER NOT NULL, frames INTEGER NOT NULL,
  t_min INTEGER, t_max INTEGER, sketch BLOB NOT NULL, drops BLOB NOT NULL, drop_min INTEGER, drop_max INTEGER,
  PRIMARY KEY (pair, segment)) WITHOUT ROWID;
CREATE TABLE block (pair INTEGER NOT NULL, segment INTEGER NOT NULL, number INTEGER NOT NULL,
  t_min INTEGER NOT NULL, t_max INTEGER NOT NULL, n INTEGER NOT NULL,
  lat_min REAL NOT NULL, lat_sum REAL NOT NULL, lat_max REAL NOT NULL,
  power_n INTEGER NOT NULL, power_min REAL, power_sum REAL NOT NULL, power_max REAL,
  energy_n INTEGER NOT NULL, energy_sum REAL NOT NULL, gap_ns INTEGER NOT NULL,
  PRIMARY KEY (pair, segment, number)) WITHOUT ROWID;
CREATE INDEX gap ON block (pair, t_min) WHERE gap_ns > 0;
"""

_SUMMED = """MIN(t_min), MAX(t_max), SUM(n), MIN(lat_min), SUM(lat_sum), MAX(lat_max), SUM(power_n), MIN(power_min),
 SUM(power_sum), MAX(power_max), SUM(energy_n), SUM(energy_sum)"""


@dataclass
class PairTotals:
    """A pair as a whole; ``simulated`` names the simulated sources, ``benchlab.query.pair_rows.ALL`` among them."""

    frames: int = 0
    drops: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    simulated: set[str] | None = None

    def take(self, rows: PairRows) -> None:
        """Count rows as well."""
        times = [*rows.ts_ns, *rows.drops_ns]
        if not times:
            return
        self.frames += len(rows)
        self.drops += len(rows.drops_ns)
        self.first_ns = min(times) if self.first_ns is None else min(self.first_ns, *times)
        self.last_ns = max(times) if self.last_ns is None else max(self.last_ns, *times)
        self.simulated = (self.simulated or set()) | rows.simulated


@dataclass(frozen=True)
class Part:
    """The frames of a pair in one segment: where they lie, how many they are, the time they cover."""

    segment: int
    where: Range
    frames: int
    t_min: int
    t_max: int


def take_segment(connection: sqlite3.Connection, number: int, path: Path, where: Range) -> int:
    """Sum a segment up; return how many of its lines are bad. Raises Fault (IO), RawChanged."""
    found: ByPair = {}
    bad = sum(take(batch, found) for batch in read_range(path, LatencyLine, where))
    for pair, rows in found.items():
        if len(rows) or rows.drops_ns:
            _take_pair(connection, number, pair, rows)
    return bad


def _take_pair(connection: sqlite3.Connection, number: int, pair: Pair, rows: PairRows) -> None:
    id_, totals, newest_ns = _totals(connection, pair)
    totals.take(rows)
    blocks = list(blocks_of(rows, newest_ns))
    t_min = min((block.t_min for block in blocks), default=None)
    t_max = max((block.t_max for block in blocks), default=None)
    newest = [ns for ns in (newest_ns, t_max) if ns is not None]
    connection.execute(
        "INSERT OR REPLACE INTO pair VALUES (?,?,?,?,?,?,?,?,?)",
        (
            id_,
            *pair,
            totals.frames,
            totals.drops,
            totals.first_ns,
            totals.last_ns,
            max(newest, default=None),
            _words(totals.simulated or set()),
        ),
    )
    drops = rows.drops_ns
    bounds = (min(drops), max(drops)) if drops else (None, None)
    sketch = Sketch(rows.lat_ms).encode()
    values = (id_, number, len(rows), t_min, t_max, sketch, drops.tobytes(), *bounds)
    connection.execute("INSERT INTO pair_segment VALUES (?,?,?,?,?,?,?,?,?)", values)
    sql = f"INSERT INTO block VALUES ({','.join('?' * 16)})"
    connection.executemany(sql, [(id_, number, i, *block) for i, block in enumerate(blocks)])


def _totals(connection: sqlite3.Connection, pair: Pair) -> tuple[int, PairTotals, int | None]:
    """Return a pair's number, what is known of it, and its newest frame; of a new one its number to be."""
    columns = "id, frames, drops, first_ns, last_ns, simulated, newest_frame_ns"
    sql = f"SELECT {columns} FROM pair WHERE from_stage = ? AND to_stage = ?"
    row = connection.execute(sql, pair).fetchone()
    if row is None:
        (id_,) = connection.execute("SELECT COUNT(*) FROM pair").fetchone()
        return id_, PairTotals(), None
    return row[0], _known(row[1:6]), row[6]


def _known(row: tuple[int, int, int, int, str]) -> PairTotals:
    frames, drops, first_ns, last_ns, simulated = row
    return PairTotals(frames, drops, first_ns, last_ns, set(msgspec.json.decode(simulated, type=list[str])))


def totals(connection: sqlite3.Connection) -> dict[Pair, PairTotals]:
    """Return all pairs in the order of their first rows."""
    columns = "from_stage, to_stage, frames, drops, first_ns, last_ns, simulated"
    rows = connection.execute(f"SELECT {columns} FROM pair ORDER BY id")
    return {(row[0], row[1]): _known(row[2:7]) for row in rows}


class PairIndex:
    """What is indexed of one pair. Stretches of time are half-open, in ns of the session's timeline.

    ``first_ns`` is the time of the first row, ``newest_ns`` that of the newest frame. Of no pair nothing is indexed.
    """

    def __init__(self, connection: sqlite3.Connection, pair: Pair | None) -> None:
        self._connection = connection
        sql = "SELECT id, frames, first_ns, newest_frame_ns FROM pair WHERE from_stage = ? AND to_stage = ?"
        row = connection.execute(sql, pair).fetchone() if pair else None
        self._id: int
        self.frames: int
        self.first_ns: int | None
        self.newest_ns: int | None
        self._id, self.frames, self.first_ns, self.newest_ns = (-1, 0, None, None) if row is None else row

    def parts(self, from_ns: int, to_ns: int) -> list[Part]:
        """Return the segments that have frames in a stretch of time."""
        sql = """SELECT segment, start, end, frames, t_min, t_max FROM pair_segment
            JOIN segment ON file = 'latency.jsonl' AND number = segment
            WHERE pair = ? AND t_max >= ? AND t_min < ? ORDER BY segment"""
        rows = self._connection.execute(sql, (self._id, from_ns, to_ns))
        return [Part(row[0], (row[1], row[2]), *row[3:]) for row in rows]

    def ranges(self, from_ns: int, to_ns: int) -> list[Range]:
        """Return the bytes of the segments that have frames or drops in a stretch of time."""
        sql = """SELECT start, end FROM pair_segment JOIN segment ON file = 'latency.jsonl' AND number = segment
            WHERE pair = ? AND ((t_max >= ? AND t_min < ?) OR (drop_max >= ? AND drop_min < ?)) ORDER BY segment"""
        return self._connection.execute(sql, (self._id, from_ns, to_ns, from_ns, to_ns)).fetchall()

    def drops(self, from_ns: int, to_ns: int) -> array[int]:
        """Return the times of the drops in a stretch of time."""
        sql = "SELECT drops FROM pair_segment WHERE pair = ? AND drop_max >= ? AND drop_min < ? ORDER BY segment"
        found: array[int] = array("q")
        for (data,) in self._connection.execute(sql, (self._id, from_ns, to_ns)):
            times: array[int] = array("q")
            times.frombytes(data)
            found.extend([ns for ns in times if from_ns <= ns < to_ns])
        return found

    def sketch(self, from_ns: int, to_ns: int) -> Sketch:
        """Return the sketch of the segments that lie wholly in a stretch of time."""
        sql = "SELECT sketch FROM pair_segment WHERE pair = ? AND t_min >= ? AND t_max < ?"
        found = Sketch()
        for (data,) in self._connection.execute(sql, (self._id, from_ns, to_ns)):
            found.add_encoded(data)
        return found

    def buckets(self, parts: list[Part], start_ns: int, width_ns: int) -> dict[int, Block]:
        """Return the blocks of whole segments summed up by the bucket in which their middle lies."""
        sql = f"""SELECT (t_min + (t_max - t_min) / 2 - ?) / ?, {_SUMMED} FROM block
            WHERE pair = ? AND segment BETWEEN ? AND ? GROUP BY 1"""
        found: dict[int, Block] = {}
        for first, last in _runs(parts):
            for bucket, *summed in self._connection.execute(sql, (start_ns, width_ns, self._id, first, last)):
                block = Block(*summed)
                found[bucket] = both(found[bucket], block) if bucket in found else block
        return found

    def block_count(self, parts: list[Part]) -> int:
        """Return how many blocks segments have."""
        sql = "SELECT COUNT(*) FROM block WHERE pair = ? AND segment BETWEEN ? AND ?"
        return sum(self._connection.execute(sql, (self._id, *run)).fetchone()[0] for run in _runs(parts))

    def gaps(self, from_ns: int, to_ns: int) -> list[tuple[int, int]]:
        """Return where no frame was completed for long, as far as that overlaps a stretch of time."""
        sql = """SELECT t_min - gap_ns, t_min FROM block
            WHERE pair = ? AND gap_ns > 0 AND t_min > ? AND t_min - gap_ns < ? ORDER BY t_min"""
        return self._connection.execute(sql, (self._id, from_ns, to_ns)).fetchall()


def _runs(parts: list[Part]) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of segments that follow each other."""
    first = 0
    for i, part in enumerate(parts):
        if i + 1 == len(parts) or parts[i + 1].segment != part.segment + 1:
            yield parts[first].segment, part.segment
            first = i + 1


def _words(names: set[str]) -> str:
    return msgspec.json.encode(sorted(names)).decode()
