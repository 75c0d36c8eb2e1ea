"""Runs of frames summed up: what an index keeps instead of them, and what a chart shows instead of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from operator import sub
from typing import NamedTuple

from benchlab.query.pair_rows import PairRows

FRAMES = 32
"""The most frames of a block."""

GAP_NS = 1_000_000_000
"""Where no frame was completed for longer, a block ends, and the next one says for how long."""


class Block(NamedTuple):
    """Frames of one pair that follow each other; sums in the units of the rows. No power, no extremes of it."""

    t_min: int
    t_max: int
    n: int
    lat_min: float
    lat_sum: float
    lat_max: float
    power_n: int
    power_min: float | None
    power_sum: float
    power_max: float | None
    energy_n: int
    energy_sum: float
    gap_ns: int = 0


def block_of(rows: PairRows, start: int, end: int, gap_ns: int = 0) -> Block:
    """Sum up the frames from ``start`` to before ``end``, of which there must be one."""
    ts_ns, lat_ms = rows.ts_ns[start:end], rows.lat_ms[start:end]
    power = [value for value in rows.power_w[start:end] if value == value]
    energy = [value for value in rows.energy_j[start:end] if value == value]
    return Block(
        min(ts_ns),
        max(ts_ns),
        end - start,
        min(lat_ms),
        sum(lat_ms),
        max(lat_ms),
        len(power),
        min(power, default=None),
        sum(power),
        max(power, default=None),
        len(energy),
        sum(energy),
        gap_ns,
    )


def blocks_of(rows: PairRows, newest_ns: int | None) -> Iterator[Block]:
    """Cut rows, in the order of their file, into blocks; ``newest_ns`` is the newest frame of the pair before them."""
    behind_gaps = {i + 1 for i in _gaps(rows.ts_ns)}
    start = 0
    for end in sorted({*range(FRAMES, len(rows), FRAMES), *behind_gaps, len(rows)}):
        if end == start:
            continue
        quiet_ns = 0 if newest_ns is None else rows.ts_ns[start] - newest_ns
        block = block_of(rows, start, end, quiet_ns if quiet_ns > GAP_NS else 0)
        newest_ns = block.t_max if newest_ns is None else max(newest_ns, block.t_max)
        yield block
        start = end


def gaps_in(ts_ns: array[int]) -> list[tuple[int, int]]:
    """Return where times, in ascending order, are more than ``GAP_NS`` apart: the times before and after."""
    return [(ts_ns[i], ts_ns[i + 1]) for i in _gaps(ts_ns)]


def _gaps(ts_ns: array[int]) -> list[int]:
    """Return the indices before a gap. Looking at the longest first is ten times as fast where there is none."""
    if len(ts_ns) < 2 or max(map(sub, ts_ns[1:], ts_ns)) <= GAP_NS:
        return []
    return [i for i, (a, b) in enumerate(pairwise(ts_ns)) if b - a > GAP_NS]


def both(a: Block, b: Block) -> Block:
    """Return two blocks as one."""
    return Block(
        min(a.t_min, b.t_min),
        max(a.t_max, b.t_max),
        a.n + b.n,
        min(a.lat_min, b.lat_min),
        a.lat_sum + b.lat_sum,
        max(a.lat_max, b.lat_max),
        a.power_n + b.power_n,
        _least(a.power_min, b.power_min),
        a.power_sum + b.power_sum,
        _greatest(a.power_max, b.power_max),
        a.energy_n + b.energy_n,
        a.energy_sum + b.energy_sum,
    )


def _least(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)
