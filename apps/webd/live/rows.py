"""Aligned rows in columns: the last minutes of each pair, as they are sent."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from math import nan
from typing import Any

import msgspec

from benchlab.event import Nanoseconds
from benchlab.query.aligned import DROPPED, LATENCY

Pair = tuple[str, str]

ABSENT = nan  # JSON has null for it
MOST_PAIRS = 64
NS_PER_MS = 1e6


class Kv(msgspec.Struct, gc=False):
    """What is sent of a row; every field is absent where the row has none."""

    pair: Pair | None = None
    lat_ms: float | None = None
    stage: str | None = None
    frame: int | str | None = None
    reason: str | None = None
    power_w: float | None = None
    energy_j: float | None = None
    power_why: str | None = None
    power_source: str | None = None
    temp_c: float | None = None


class Row(msgspec.Struct, gc=False):
    """A line of ``aligned/latency.jsonl``."""

    ts_aligned_ns: Nanoseconds
    source: str
    kv: Kv
    unc_ns: Nanoseconds | None = None
    sim: bool = False
    sim_of: list[str] | None = None


class Columns:
    """Rows of one kind and pair in the order of the file: ``at`` is each one's offset there, ``t_ms`` its time."""

    _numbers: tuple[str, ...] = ()
    _words: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.at = array("q")
        self.t_ms = array("d")
        self._columns: dict[str, Any] = {name: array("d") for name in self._numbers}
        self._columns.update({name: [] for name in self._words})

    def __len__(self) -> int:
        return len(self.at)

    def add(self, at: int, row: Row) -> None:
        """Append a row."""
        self.at.append(at)
        self.t_ms.append(row.ts_aligned_ns // 1000 / 1000)
        for name, value in self._values(row):
            self._columns[name].append(value)

    def find(self, at: int) -> int:
        """Return the index of the first row at or after an offset."""
        return bisect_left(self.at, at)

    def since(self, t_ms: float) -> int:
        """Return the index of the first row that is not older; rows lie in the order of their decision, nearly that."""
        return bisect_left(self.t_ms, t_ms)

    def cut(self, start: int, end: int | None = None) -> None:
        """Forget the rows from index ``start`` on, or up to ``end``."""
        for column in (self.at, self.t_ms, *self._columns.values()):
            del column[start:end]

    def slice(self, start: int, end: int) -> dict[str, Any]:
        """Return rows as columns for JSON."""
        found: dict[str, Any] = {"at": self.at[start:end].tolist(), "t_ms": self.t_ms[start:end].tolist()}
        for name, column in self._columns.items():
            part = column[start:end]
            found[name] = part if isinstance(part, list) else part.tolist()
        return found

    def _values(self, row: Row) -> Iterator[tuple[str, Any]]:
        raise NotImplementedError


class Frames(Columns):
    """What frames cost between two stages: milliseconds, watts, joules; ``why`` says why there is no power."""

    _numbers = ("lat_ms", "power_w", "energy_j", "unc_ms")
    _words = ("frame", "why")

    def __init__(self) -> None:
        super().__init__()
        self.simulated = 0

    def _values(self, row: Row) -> Iterator[tuple[str, Any]]:
        kv = row.kv
        yield "lat_ms", kv.lat_ms
        yield "power_w", ABSENT if kv.power_w is None else kv.power_w
        yield "energy_j", ABSENT if kv.energy_j is None else kv.energy_j
        yield "unc_ms", ABSENT if row.unc_ns is None else row.unc_ns / NS_PER_MS
        yield "frame", kv.frame
        yield "why", kv.power_why


class Drops(Columns):
    """Frames that were lost on the way, and where."""

    _words = ("reason", "stage", "frame")

    def _values(self, row: Row) -> Iterator[tuple[str, Any]]:
        yield "reason", row.kv.reason
        yield "stage", row.kv.stage
        yield "frame", row.kv.frame


class PairRows:
    """The frames and drops of one pair; ``dropped`` also counts those that were forgotten since."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.drops = Drops()
        self.dropped = 0


class Ring:
    """The last rows of each pair, in the order in which the pairs were first seen.

    ``first_ms`` is the time of the first row that was taken, though it may be forgotten since.
    """

    def __init__(self) -> None:
        self.first_ms: float | None = None
        self.pairs: dict[Pair, PairRows] = {}
        self.newest_ms: float | None = None
        self.last: Row | None = None
        self.last_power: Row | None = None
        self.sim = False
        self.sim_of: list[str] = []

    def add(self, at: int, row: Row) -> Pair | None:
        """Take a row; return its pair, None if it is of no use here."""
        pair = row.kv.pair
        if pair is None or (pair not in self.pairs and len(self.pairs) >= MOST_PAIRS):
            return None
        if row.source == LATENCY and row.kv.lat_ms is not None:
            self.pairs.setdefault(pair, PairRows()).frames.add(at, row)
            self._note(row)
        elif row.source == DROPPED:
            rows = self.pairs.setdefault(pair, PairRows())
            rows.drops.add(at, row)
            rows.dropped += 1
        else:
            return None
        if self.first_ms is None:
            self.first_ms = row.ts_aligned_ns // 1000 / 1000
        return pair

    def rewind(self, at: int) -> None:
        """Forget the rows at and after an offset."""
        for rows in self.pairs.values():
            rows.frames.cut(rows.frames.find(at))
            first = rows.drops.find(at)
            rows.dropped -= len(rows.drops) - first
            rows.drops.cut(first)
        times = [rows.frames.t_ms[-1] for rows in self.pairs.values() if len(rows.frames)]
        self.newest_ms = max(times, default=None)

    def trim(self, keep_ms: float, keep_rows: int) -> None:
        """Forget rows older than ``keep_ms`` before the newest, but of each pair keep at least ``keep_rows``."""
        if self.newest_ms is None:
            return
        for rows in self.pairs.values():
            for columns in (rows.frames, rows.drops):
                old = min(columns.since(self.newest_ms - keep_ms), len(columns) - keep_rows)
                if old > 0:
                    columns.cut(0, old)

    def first_at(self, end: int) -> int:
        """Return the offset of the first row that is kept, ``end`` if there is none."""
        firsts = [columns.at[0] for rows in self.pairs.values() for columns in (rows.frames, rows.drops) if columns]
        return min(firsts, default=end)

    def at_since(self, t_ms: float, pair: Pair | None, end: int) -> int:
        """Return the offset of the first frame of a pair, or of any, that is not older; ``end`` if all are."""
        chosen = self.pairs.values() if pair is None else [self.pairs[pair]] if pair in self.pairs else []
        firsts = [(rows.frames, rows.frames.since(t_ms)) for rows in chosen]
        return min((frames.at[i] for frames, i in firsts if i < len(frames)), default=end)

    def _note(self, row: Row) -> None:
        t_ms = row.ts_aligned_ns // 1000 / 1000
        self.newest_ms = t_ms if self.newest_ms is None else max(self.newest_ms, t_ms)
        self.last = row
        if row.kv.power_w is not None:
            self.last_power = row
        if row.sim and not self.sim:
            self.sim = True
            self.sim_of = row.sim_of or []
