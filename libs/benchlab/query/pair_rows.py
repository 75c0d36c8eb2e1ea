"""Rows of ``aligned/latency.jsonl`` as columns, pair by pair: what an index is made of, and what a chart shows."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import gt
from typing import Any

import msgspec

from benchlab.event import Nanoseconds
from benchlab.log.reader import Batch
from benchlab.query.aligned import DROPPED, LATENCY, Pair
from benchlab.query.sketch import MOST

ALL = "all of it"
"""Stands among the simulated sources for a row of which every input was simulated."""


class LatencyKv(msgspec.Struct, gc=False):
    """What is read of a row; a line whose fields are of other types is a bad one."""

    pair: Pair | None = None
    lat_ms: float | None = None
    power_w: float | None = None
    energy_j: float | None = None
    temp_c: float | None = None
    frame: int | str | None = None


class LatencyLine(msgspec.Struct, gc=False):
    """One line of ``aligned/latency.jsonl``, only as far as history shows it."""

    ts_aligned_ns: Nanoseconds
    source: str
    kv: LatencyKv
    sim: bool = False
    sim_of: list[str] | None = None


class PairRows:
    """Columns of equal length, and the times of drops; what is absent is NaN. In the order of the file."""

    def __init__(self) -> None:
        self.ts_ns: array[int] = array("q")
        self.lat_ms: array[float] = array("d")
        self.power_w: array[float] = array("d")
        self.energy_j: array[float] = array("d")
        self.temp_c: array[float] = array("d")
        self.frame: list[int | str | None] = []
        self.drops_ns: array[int] = array("q")
        self.simulated: set[str] = set()

    def __len__(self) -> int:
        return len(self.ts_ns)

    def extend(self, rows: Sequence[LatencyLine]) -> None:
        """Take completed frames."""
        kvs = [row.kv for row in rows]
        self.ts_ns.extend([row.ts_aligned_ns for row in rows])
        self.lat_ms.extend([kv.lat_ms for kv in kvs])  # type: ignore[misc]  # it was looked at before
        self.power_w.extend([math.nan if kv.power_w is None else kv.power_w for kv in kvs])
        self.energy_j.extend([math.nan if kv.energy_j is None else kv.energy_j for kv in kvs])
        self.temp_c.extend([math.nan if kv.temp_c is None else kv.temp_c for kv in kvs])
        self.frame.extend([kv.frame for kv in kvs])
        self._note_simulated(rows)

    def extend_drops(self, rows: Sequence[LatencyLine]) -> None:
        """Take frames that were dropped."""
        self.drops_ns.extend([row.ts_aligned_ns for row in rows])
        self._note_simulated(rows)

    def _note_simulated(self, rows: Sequence[LatencyLine]) -> None:
        for row in rows:
            if row.sim:
                self.simulated.update(row.sim_of or (ALL,))

    def within(self, from_ns: int, to_ns: int) -> PairRows:
        """Return the rows with ``from_ns <= time < to_ns`` by time; those of one time stay in their order."""
        ts_ns = self.ts_ns
        if any(map(gt, ts_ns, ts_ns[1:])):
            order = sorted(range(len(self)), key=ts_ns.__getitem__)
            return self._picked(lambda column: [column[i] for i in order if from_ns <= ts_ns[i] < to_ns])
        cut = slice(bisect_left(ts_ns, from_ns), bisect_left(ts_ns, to_ns))
        return self._picked(lambda column: column[cut])

    def joined(self, other: PairRows) -> PairRows:
        """Return these rows and those of another."""
        both = PairRows()
        for rows in (self, other):
            for name in (*_COLUMNS, "frame", "drops_ns"):
                getattr(both, name).extend(getattr(rows, name))
            both.simulated |= rows.simulated
        return both

    def _picked(self, pick: Callable[[Any], Any]) -> PairRows:
        picked = PairRows()
        for name in (*_COLUMNS, "frame"):
            getattr(picked, name).extend(pick(getattr(self, name)))
        picked.drops_ns, picked.simulated = self.drops_ns, self.simulated
        return picked


_COLUMNS = ("ts_ns", "lat_ms", "power_w", "energy_j", "temp_c")

ByPair = dict[Pair, PairRows]
"""In the order of each pair's first row."""


def take(batch: Batch[LatencyLine], found: ByPair, only: Pair | None = None) -> int:
    """Sort the rows of a batch by pair; return how many lines are bad, or no pair, or have no usable latency."""
    frames: dict[Pair, list[LatencyLine]] = {}
    drops: dict[Pair, list[LatencyLine]] = {}
    bad = len(batch.bad)
    for row in batch.rows:
        pair = row.kv.pair
        into = frames if row.source == LATENCY else drops
        if pair is None or (into is drops and row.source != DROPPED):
            bad += 1
            continue
        if pair not in found:
            if only is not None and pair != only:
                continue
            found[pair] = PairRows()
        if pair in into:
            into[pair].append(row)
        else:
            into[pair] = [row]
    for pair, rows in frames.items():
        usable = [row for row in rows if (lat_ms := row.kv.lat_ms) is not None and 0 <= lat_ms <= MOST]
        bad += len(rows) - len(usable)
        found[pair].extend(usable)
    for pair, rows in drops.items():
        found[pair].extend_drops(rows)
    return bad
