"""Recorded series on the uniform grid that CapFrameX wants, without a single invented value.

A grid value is the mean over its cell of the straight lines between neighbouring samples, as far as samples
that lie no more than ``max_gap_ns`` apart cover the cell. A cell that nothing covers has no value: none is
held, extrapolated or drawn across a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from benchlab.capframex.power import Series, Signal

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

Cells = dict[int, float]
"""Value by the number of the cell, from the capture's start on; an absent number is an absent value."""


class Grid(NamedTuple):
    """Cells of ``step_ns`` from ``start_ns`` on; ``cells`` of them reach the end of the capture."""

    start_ns: int
    step_ns: int
    cells: int

    @classmethod
    def over(cls, start_ns: int, last_ns: int, step_ns: int) -> Grid:
        """Return the grid that covers a capture from its first to its last row."""
        return cls(start_ns, step_ns, (last_ns - start_ns) // step_ns + 1)


def period_ms(signals: list[Signal]) -> int:
    """Return a step, in whole milliseconds, at which the slowest of some signals has a new sample, or 0."""
    periods = [_period_ns(part) for signal in signals for part in signal.parts]
    return max(1, round(max(periods) / NS_PER_MS)) if periods else 0


def _period_ns(series: Series) -> float:
    ts_ns = series.ts_ns
    return median(b - a for a, b in pairwise(ts_ns))


def cells_of(signal: Signal, grid: Grid, max_gap_ns: int) -> Cells:
    """Return the signal's value in each cell in which all its parts have one."""
    parts = [_means(part, grid, max_gap_ns) for part in signal.parts]
    shared = set(parts[0]).intersection(*parts[1:])
    return {k: sum(part[k] for part in parts) for k in sorted(shared)}


def _means(series: Series, grid: Grid, max_gap_ns: int) -> Cells:
    area: dict[int, float] = {}
    covered_ns: dict[int, int] = {}
    for k, length_ns, mean in _pieces(series, grid, max_gap_ns):
        area[k] = area.get(k, 0.0) + mean * length_ns
        covered_ns[k] = covered_ns.get(k, 0) + length_ns
    return {k: area[k] / covered_ns[k] for k in area}


def _pieces(series: Series, grid: Grid, max_gap_ns: int) -> Iterator[tuple[int, int, float]]:
    """Cut each line between two samples at the cells' borders: cell, length in ns, mean value there."""
    end_ns = grid.start_ns + grid.cells * grid.step_ns
    ts_ns, values = series.ts_ns, series.values
    for i in range(1, len(ts_ns)):
        a_ns, b_ns = ts_ns[i - 1], ts_ns[i]
        if not 0 < b_ns - a_ns <= max_gap_ns or b_ns <= grid.start_ns or a_ns >= end_ns:
            continue
        slope = (values[i] - values[i - 1]) / (b_ns - a_ns)
        left_ns, stop_ns = max(a_ns, grid.start_ns), min(b_ns, end_ns)
        while left_ns < stop_ns:
            k = (left_ns - grid.start_ns) // grid.step_ns
            right_ns = min(stop_ns, grid.start_ns + (k + 1) * grid.step_ns)
            middle_ns = (left_ns - a_ns + right_ns - a_ns) / 2
            yield k, right_ns - left_ns, values[i - 1] + slope * middle_ns
            left_ns = right_ns


class Uniform(NamedTuple):
    """An array from the capture's start to the first cell without a value; what is missing, in seconds."""

    values: list[float]
    begins_s: float | None = None
    ends_s: float | None = None


def uniform(cells: Cells, grid: Grid) -> Uniform:
    """Return a signal as a list without holes, which a grid that carries no times has to be.

    It ends where the first value is absent; without a value at the start there is none, and ``begins_s`` says
    from when on there would be.
    """
    step_s = grid.step_ns / NS_PER_S
    if 0 not in cells:
        return Uniform([], begins_s=min(cells) * step_s if cells else None)
    count = next(k for k in range(len(cells) + 1) if k not in cells)
    return Uniform([cells[k] for k in range(count)], ends_s=count * step_s if count < grid.cells else None)


def shared_rows(columns: dict[str, Cells]) -> tuple[list[int], list[str]]:
    """Return the cells in which all the kept columns have a value, and which columns are kept.

    Columns are asked in order of their coverage; one that would halve what the others cover is left out.
    """
    kept: list[str] = []
    rows: set[int] = set()
    for name in sorted(columns, key=lambda n: -len(columns[n])):
        shared = rows & columns[name].keys() if kept else set(columns[name])
        if shared and 2 * len(shared) >= len(rows):
            kept, rows = [*kept, name], shared
    return sorted(rows), [name for name in columns if name in kept]
