"""From aligned rows to the frames of an export: one pair, in order of time, no frame time of zero.

Two passes. ``collect`` keeps what is needed of each row and learns how far rows lie out of order (a drop
is written when it is decided, up to the pairing window after its entry); ``arrange`` then sorts with just
that much memory and gives each row its ``MsBetweenPresents``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from benchlab.capframex.spool import Spool
from benchlab.event import Aligned
from benchlab.query.aligned import DROPPED, LATENCY, Pair, pair_of

Metric = Literal["latency", "interval"]

NS_PER_MS = 1_000_000
LEAST_MS = 0.000001
"""What stands for a time below the clock's resolution: 1 ns, as CapFrameX divides by it."""

ALL = "all of it"
"""Stands among the simulated sources for a row of which every input was simulated."""

ROW_LAYOUT = "<qddd"
FRAME_LAYOUT = "<q?ddddd"

_LONGEST_MS = 1e9
_INT64 = 1 << 63
_SORT_AT = 65536


class Row(NamedTuple):
    """One row of the pair; a drop has NaN for its latency, an absent power or energy is NaN."""

    ts_ns: int
    latency_ms: float
    power_w: float
    energy_j: float


class Frame(NamedTuple):
    """One row of the export. ``t_ns`` counts from the first; 0 ms and NaN stand for what is not known."""

    t_ns: int
    dropped: bool
    between_ms: float
    latency_ms: float
    display_ms: float
    power_w: float
    energy_j: float


@dataclass
class Collected:
    """What the first pass learned."""

    rows: Spool
    frames: int = 0
    drops: int = 0
    unusable: int = 0
    disorder_ns: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    before_ns: int | None = None
    first_frame: tuple[int, float] | None = None
    simulated: set[str] = field(default_factory=set)
    flows: set[str] = field(default_factory=set)
    references: Counter[str] = field(default_factory=Counter)
    no_power: Counter[str] = field(default_factory=Counter)
    by_order: int = 0


@dataclass
class Arranged:
    """The frames of the export and what had to be decided to make them."""

    frames: Spool
    drops: int = 0
    start_ns: int = 0
    last_ns: int = 0
    raised: int = 0
    openers: int = 0
    leading_drops: int = 0

    def __iter__(self) -> Iterator[Frame]:
        return map(Frame._make, self.frames)


@dataclass(frozen=True)
class Selection:
    """Which rows to take: ``from_ns <= time < to_ns``, of one flow or of all, with or without drops."""

    pair: Pair
    from_ns: int | None = None
    to_ns: int | None = None
    flow: str | None = None
    drops: bool = True


def collect(rows: Iterable[Aligned], chosen: Selection, into: Spool) -> Collected:
    """Keep the pair's rows and note what the export has to say about them."""
    got = Collected(into)
    newest_ns = -_INT64
    for row in rows:
        if pair_of(row) != chosen.pair or row.source not in (LATENCY, DROPPED):
            continue
        flow = row.kv.get("flow")
        if chosen.flow is not None and flow != chosen.flow:
            continue
        entry = _usable(row)
        if entry is None:
            got.unusable += 1
            continue
        if not _within(entry, chosen, got):
            continue
        if math.isnan(entry.latency_ms) and not chosen.drops:
            got.drops += 1
            continue
        newest_ns = max(newest_ns, entry.ts_ns)
        got.disorder_ns = max(got.disorder_ns, newest_ns - entry.ts_ns)
        got.rows.append(*entry)
        if isinstance(flow, str):
            got.flows.add(flow)
        _note(got, row, entry)
    return got


def _usable(row: Aligned) -> Row | None:
    """Return what the export needs of a row; None where its time or its latency cannot be a measurement."""
    ts_ns = row.ts_aligned_ns
    if not -_INT64 < ts_ns < _INT64:
        return None
    if row.source == DROPPED:
        return Row(ts_ns, math.nan, math.nan, math.nan)
    latency_ms = _number(row.kv.get("lat_ms"))
    if not 0 <= latency_ms <= _LONGEST_MS:
        return None
    return Row(ts_ns, latency_ms, _number(row.kv.get("power_w")), _number(row.kv.get("energy_j")))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _within(entry: Row, chosen: Selection, got: Collected) -> bool:
    """Tell whether a row lies in the stretch asked for; a frame before it starts the first interval."""
    if chosen.to_ns is not None and entry.ts_ns >= chosen.to_ns:
        return False
    if chosen.from_ns is None or entry.ts_ns >= chosen.from_ns:
        return True
    if not math.isnan(entry.latency_ms):
        got.before_ns = entry.ts_ns if got.before_ns is None else max(got.before_ns, entry.ts_ns)
    return False


def _note(got: Collected, row: Aligned, entry: Row) -> None:
    ts_ns, latency_ms = entry.ts_ns, entry.latency_ms
    got.first_ns = ts_ns if got.first_ns is None else min(got.first_ns, ts_ns)
    got.last_ns = ts_ns if got.last_ns is None else max(got.last_ns, ts_ns)
    if row.sim:
        got.simulated.update(row.sim_of or [ALL])
    if math.isnan(latency_ms):
        got.drops += 1
        return
    got.frames += 1
    if got.first_frame is None or ts_ns < got.first_frame[0]:
        got.first_frame = ts_ns, latency_ms
    got.by_order += row.kv.get("match") == "order"
    if not math.isnan(entry.power_w):
        got.references[str(row.kv.get("power_source", "a source that is not named"))] += 1
    else:
        got.no_power[str(row.kv.get("power_why", "no reason given"))] += 1


def in_order(rows: Iterable[tuple[int, float, float, float]], disorder_ns: int) -> Iterator[Row]:
    """Yield rows by time; rows of the same time stay in their order.

    No row may lie more than ``disorder_ns`` behind the newest before it; that bounds what is held back.
    """
    held: list[Row] = []
    newest_ns = -_INT64
    sort_at = _SORT_AT
    for row in map(Row._make, rows):
        held.append(row)
        newest_ns = max(newest_ns, row.ts_ns)
        if len(held) < sort_at:
            continue
        held.sort(key=_time)
        settled = bisect_right(held, newest_ns - disorder_ns, key=_time)
        yield from held[:settled]
        del held[:settled]
        sort_at = _SORT_AT + 2 * len(held)
    held.sort(key=_time)
    yield from held


def _time(row: Row) -> int:
    return row.ts_ns


def arrange(got: Collected, metric: Metric, into: Spool) -> Arranged:
    """Put the rows in order and give each its frame time by the rule of the metric."""
    made = Arranged(into)
    put = _Latency(got, made) if metric == "latency" else _Interval(got, made)
    for row in in_order(got.rows, got.disorder_ns):
        put.row(row)
    return made


class _Mapping:
    """What both metrics share: time from the first row that is written, and no frame time of zero."""

    def __init__(self, got: Collected, made: Arranged) -> None:
        self.made = made
        self.previous_ns = got.before_ns

    def write(self, row: Row, dropped: bool, between_ms: float, display_ms: float) -> None:
        made = self.made
        if not made.frames:
            made.start_ns = row.ts_ns
        made.last_ns = row.ts_ns
        made.drops += dropped
        if between_ms < LEAST_MS:
            between_ms = LEAST_MS
            made.raised += 1
        latency_ms = 0.0 if dropped else row.latency_ms
        t_ns = row.ts_ns - made.start_ns
        made.frames.append(t_ns, dropped, between_ms, latency_ms, display_ms, row.power_w, row.energy_j)

    def since_previous_ms(self, row: Row) -> float | None:
        """Return the time since the last completed frame; None where none is known."""
        return None if self.previous_ns is None else (row.ts_ns - self.previous_ns) / NS_PER_MS


class _Latency(_Mapping):
    """``MsBetweenPresents`` is the pipeline latency; a drop, which has none, repeats the row before it."""

    def __init__(self, got: Collected, made: Arranged) -> None:
        super().__init__(got, made)
        self._latency_ms = got.first_frame[1] if got.first_frame else math.nan

    def row(self, row: Row) -> None:
        if math.isnan(row.latency_ms):
            self.write(row, True, self._latency_ms, 0.0)
            return
        self._latency_ms = row.latency_ms
        self.write(row, False, row.latency_ms, self.since_previous_ms(row) or 0.0)
        self.previous_ns = row.ts_ns


class _Interval(_Mapping):
    """``MsBetweenPresents`` is the time since the last completed frame.

    The very first frame ends no interval: it starts the clock and has no row, nor have drops before it.
    """

    def row(self, row: Row) -> None:
        interval_ms = self.since_previous_ms(row)
        if math.isnan(row.latency_ms):
            if interval_ms is None:
                self.made.leading_drops += 1
            else:
                self.write(row, True, interval_ms, 0.0)
            return
        if interval_ms is None:
            self.made.openers += 1
        else:
            self.write(row, False, interval_ms, max(interval_ms, LEAST_MS))
        self.previous_ns = row.ts_ns
