"""Latency over any stretch of a session: its frames where they are few, else the least, mean and greatest by bucket.

Nothing is read but the index, the segments at both ends of the stretch, and what is not indexed yet.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress, pairwise

from benchlab.query.aligned import LATENCY_FILE, Pair
from benchlab.query.blocks import GAP_NS, Block, block_of, both, gaps_in
from benchlab.query.index import Index, State
from benchlab.query.latency_index import PairIndex, PairTotals, Part, totals
from benchlab.query.pair_rows import ByPair, LatencyLine, PairRows, take
from benchlab.query.percentiles import percentile
from benchlab.query.segments import Extent, Range, check_unchanged, extent, joined, read_range
from benchlab.query.sketch import ERROR, Sketch

EXACT_FRAMES = 16_000
"""As many frames are read one by one, and so cut into buckets exactly; more are taken in blocks."""

TAIL_BYTES = 16 * 1024 * 1024
"""As much that is not indexed yet is read all the same; more waits for the index."""

HISTOGRAM_BINS = 60

_LONG_GAP = 5  # times the usual time between two frames, where that is long itself


@dataclass(frozen=True)
class Figures:
    """What the frames of a stretch come to; ``percentile_error`` is relative. No power, no figure of it."""

    n: int
    min_ms: float
    max_ms: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    percentile_error: float
    power_mean_w: float | None
    energy_mean_j: float | None
    energy_j: float | None


@dataclass
class Window:
    """A pair in a stretch of time: ``rows`` one by one, or ``blocks`` one a bucket with the drops in each."""

    rows: PairRows
    blocks: list[Block] | None = None
    block_drops: list[int] = field(default_factory=list)
    frames: int = 0
    drops_ns: array[int] = field(default_factory=lambda: array("q"))
    gaps: list[tuple[int, int]] = field(default_factory=list)
    figures: Figures | None = None
    sketch: Sketch = field(default_factory=Sketch)


@dataclass(frozen=True)
class Tail:
    """What of a file is not indexed, by pair; ``bad`` lines in it."""

    pairs: ByPair
    bad: int


class LatencyHistory:
    """Answers about ``aligned/latency.jsonl`` of one session. Methods raise OSError and Fault (IO) if it is gone."""

    def __init__(self, index: Index, exact_frames: int = EXACT_FRAMES) -> None:
        self.index = index
        self._exact_frames = exact_frames
        self._tail: tuple[object, Tail] | None = None

    def pairs(self) -> dict[Pair, PairTotals]:
        """Return all pairs in the order of their first rows, with what is known of them."""
        now = extent(self.index.dir, LATENCY_FILE)
        with self.index.connected() as connection:
            state = self.index.state(connection, LATENCY_FILE, now)
            found = totals(connection) if state.segments else {}
        for pair, rows in self.tail(state, now).pairs.items():
            found.setdefault(pair, PairTotals()).take(rows)
        return {pair: total for pair, total in found.items() if total.frames or total.drops}

    def bad_lines(self) -> int:
        """Return how many lines are no rows that can be used."""
        now = extent(self.index.dir, LATENCY_FILE)
        with self.index.connected() as connection:
            state = self.index.state(connection, LATENCY_FILE, now)
        return state.bad + self.tail(state, now).bad

    def ranges(self, pair: Pair, from_ns: int, to_ns: int) -> list[Range]:
        """Return the bytes in which all rows of a pair in a stretch of time lie, also those not indexed yet."""
        now = extent(self.index.dir, LATENCY_FILE)
        with self.index.connected() as connection:
            state = self.index.state(connection, LATENCY_FILE, now)
            found = PairIndex(connection, pair if state.segments else None).ranges(from_ns, to_ns)
        return joined([*found, (state.offset, now.size)])

    def window(self, pair: Pair, from_ns: int, to_ns: int, points: int) -> Window:
        """Return a pair with ``from_ns <= time < to_ns``, as at most ``points`` frames or buckets."""
        now = extent(self.index.dir, LATENCY_FILE)
        with self.index.connected() as connection:
            state = self.index.state(connection, LATENCY_FILE, now)
            rest = self.tail(state, now).pairs.get(pair, PairRows())
            found = self._window(connection, state, rest, (pair, from_ns, to_ns), points)
        check_unchanged(self.index.dir, LATENCY_FILE, now)
        return found

    def tail(self, state: State, now: Extent) -> Tail:
        """Return what is not indexed, unless that is so much that it has to be indexed first."""
        if now.size - state.offset > TAIL_BYTES:
            return Tail({}, 0)
        key = (state.offset, state.hash, now)
        kept = self._tail
        if kept is None or kept[0] != key:
            found: ByPair = {}
            where = (state.offset, now.size)
            bad = sum(take(batch, found) for batch in read_range(self.index.file(LATENCY_FILE), LatencyLine, where))
            kept = self._tail = (key, Tail(found, bad))
        return kept[1]

    def _window(
        self,
        connection: sqlite3.Connection,
        state: State,
        rest: PairRows,
        asked: tuple[Pair, int, int],
        points: int,
    ) -> Window:
        pair, from_ns, to_ns = asked
        indexed = PairIndex(connection, pair if state.segments else None)
        parts = indexed.parts(from_ns, to_ns)
        is_few = sum(part.frames for part in parts) + len(rest) <= self._exact_frames
        inside = [not is_few and from_ns <= part.t_min and part.t_max < to_ns for part in parts]
        whole = list(compress(parts, inside))
        ends = [part.where for part, is_whole in zip(parts, inside, strict=True) if not is_whole]
        rows = self._read(pair, ends).joined(rest).within(from_ns, to_ns)
        found = Window(rows, frames=len(rows) + sum(part.frames for part in whole))
        drops = indexed.drops(from_ns, to_ns)
        drops.extend([ns for ns in rest.drops_ns if from_ns <= ns < to_ns])
        found.drops_ns = array("q", sorted(drops))
        found.sketch = Sketch(rows.lat_ms)
        if whole:
            found.sketch.add(indexed.sketch(from_ns, to_ns))
        if whole or len(rows) > points:
            _cut(found, indexed, whole, points)
        found.figures = _figures(found, bool(whole))
        known = [*_gaps_of(rest, indexed.newest_ns), *indexed.gaps(from_ns, to_ns)]
        known = [gap for gap in known if gap[0] < to_ns and gap[1] > from_ns]
        found.gaps = _gaps(found, known, whole, _mean_ns(indexed, rest))[:points]
        return found

    def _read(self, pair: Pair, ranges: Sequence[Range]) -> PairRows:
        found: ByPair = {}
        for where in joined(list(ranges)):
            for batch in read_range(self.index.file(LATENCY_FILE), LatencyLine, where):
                take(batch, found, only=pair)
        rows = found.get(pair, PairRows())
        rows.drops_ns = array("q")  # those of indexed segments are in the index
        return rows


def _cut(found: Window, indexed: PairIndex, whole: Sequence[Part], points: int) -> None:
    """Put the frames into buckets of equal length over the time that they cover."""
    rows = found.rows
    starts = [part.t_min for part in whole] + list(rows.ts_ns[:1])
    start_ns = min(starts)
    end_ns = max([part.t_max for part in whole] + list(rows.ts_ns[-1:])) + 1
    most = indexed.block_count(list(whole)) + len(rows) if whole else points
    width_ns = max(1, math.ceil((end_ns - start_ns) / max(1, min(points, most))))
    buckets = indexed.buckets(list(whole), start_ns, width_ns) if whole else {}
    at = 0
    while at < len(rows):
        bucket = (rows.ts_ns[at] - start_ns) // width_ns
        behind = bisect_left(rows.ts_ns, start_ns + (bucket + 1) * width_ns, at)
        block = block_of(rows, at, behind)
        buckets[bucket] = both(buckets[bucket], block) if bucket in buckets else block
        at = behind
    counts: dict[int, int] = {}
    numbers = sorted(buckets)
    for ns in found.drops_ns:  # a bucket without a frame is none: its drops go to the one before
        number = (ns - start_ns) // width_ns
        if number not in buckets:
            number = numbers[max(0, bisect_left(numbers, number) - 1)]
        counts[number] = counts.get(number, 0) + 1
    numbers.sort(key=lambda number: middle_ns(buckets[number]))
    found.blocks = [buckets[number] for number in numbers]
    found.block_drops = [counts.get(number, 0) for number in numbers]


def middle_ns(block: Block) -> int:
    """Return the time at which a bucket is shown: the middle of what is in it."""
    return (block.t_min + block.t_max) // 2


def _figures(found: Window, is_estimate: bool) -> Figures | None:
    if not found.frames:
        return None
    total = block_of(found.rows, 0, len(found.rows)) if found.blocks is None else _sum(found.blocks)
    if is_estimate:
        ps = [found.sketch.percentile(p, total.lat_min, total.lat_max) for p in (50, 95, 99)]
    else:
        ordered = sorted(found.rows.lat_ms)
        ps = [percentile(ordered, p) for p in (50, 95, 99)]
    return Figures(
        total.n,
        total.lat_min,
        total.lat_max,
        total.lat_sum / total.n,
        ps[0],
        ps[1],
        ps[2],
        ERROR if is_estimate else 0.0,
        total.power_sum / total.power_n if total.power_n else None,
        total.energy_sum / total.energy_n if total.energy_n else None,
        total.energy_sum if total.energy_n else None,
    )


def _sum(blocks: Sequence[Block]) -> Block:
    total = blocks[0]
    for block in blocks[1:]:
        total = both(total, block)
    return total


def _gaps_of(rest: PairRows, newest_ns: int | None) -> list[tuple[int, int]]:
    """Return the gaps among frames that are not indexed, and the one before them."""
    times = array("q", [] if newest_ns is None else [newest_ns])
    times.extend(sorted(rest.ts_ns))
    return gaps_in(times)


def _gaps(
    found: Window, stored: Sequence[tuple[int, int]], whole: Sequence[Part], mean_ns: float
) -> list[tuple[int, int]]:
    """Return the gaps by time; a pipeline that is slow throughout (``mean_ns`` between its frames) has none."""
    ts_ns = found.rows.ts_ns
    gaps = set(stored)
    if whole:
        first, last = min(part.t_min for part in whole), max(part.t_max for part in whole)
        before, behind = ts_ns[: bisect_left(ts_ns, first)], ts_ns[bisect_left(ts_ns, last) :]
        for times in (before, behind):
            gaps.update(gaps_in(times))
        gaps.update((a, b) for a, b in pairwise([*before[-1:], first]) if b - a > GAP_NS)
        gaps.update((a, b) for a, b in pairwise([last, *behind[:1]]) if b - a > GAP_NS)
    else:
        first, last = (ts_ns[0], ts_ns[-1]) if ts_ns else (0, 0)
        gaps.update(gaps_in(ts_ns))
    lengths = [b - a for a, b in gaps]
    others = found.frames - 1 - len(lengths)
    usual_ns = max(0, last - first - sum(lengths)) / others if others > 0 else mean_ns
    return sorted(gap for gap in gaps if gap[1] - gap[0] > _LONG_GAP * usual_ns)


def _mean_ns(indexed: PairIndex, rest: PairRows) -> float:
    """Return the mean time between two frames of all the session."""
    frames = indexed.frames + len(rest)
    times = [ns for ns in (indexed.first_ns, indexed.newest_ns, *rest.ts_ns) if ns is not None]
    return (max(times) - min(times)) / (frames - 1) if frames > 1 else 0.0
