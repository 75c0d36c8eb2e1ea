"""Medians: of a series in steps of time, and a scale that outliers do not move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median

Point = tuple[float, float]
"""Time in seconds and value."""

TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution by its median absolute deviation (Rousseeuw and Croux, 1993)."""


def medians(points: Iterable[Point], step_s: float) -> list[Point]:
    """Return the median of each step of time that has points, at the end of the step. The points are in order."""
    steps = groupby(points, key=lambda point: int(point[0] // step_s))
    return [((number + 1) * step_s, median(value for _, value in group)) for number, group in steps]


def blocks(points: Sequence[Point], count: int) -> list[Point]:
    """Return a series in ``count`` equal steps of time: the medians of time and value of those that have points."""
    if not points:
        return []
    start_s, end_s = points[0][0], points[-1][0]
    step_s = (end_s - start_s) / count or 1.0
    found = []
    for _, group in groupby(points, key=lambda point: min(count - 1, int((point[0] - start_s) / step_s))):
        times, values = zip(*group, strict=True)
        found.append((median(times), median(values)))
    return found
