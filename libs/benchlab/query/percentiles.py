"""Percentiles by linear interpolation between order statistics, and the summary that status lines show.

The method is Hyndman and Fan's type 7 (rank ``p / 100 * (n - 1)``), which NumPy, pandas and DuckDB's
``quantile_cont`` use by default, so figures can be compared with theirs. Nothing but the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """What a set of values looks like; all in the unit of the values."""

    count: int
    mean: float
    low: float
    p50: float
    p95: float
    p99: float
    high: float


def percentile(ordered: Sequence[float], p: float) -> float:
    """Return the ``p``-th percentile, ``p`` in 0..100, of values that are already in ascending order.

    Raises ValueError when there is no value, or ``p`` is out of range: a percentile of nothing is not zero.
    """
    if not ordered:
        raise ValueError("percentile of no values")
    if not 0 <= p <= 100:
        raise ValueError(f"percentile {p}: expected 0 to 100")
    rank = p / 100 * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    return low if low == high else low + (high - low) * (rank - below)


def percentiles(values: Iterable[float], ps: Sequence[float] = (50, 95, 99)) -> list[float]:
    """Return several percentiles of values in any order. Raises ValueError as ``percentile`` does."""
    ordered = sorted(values)
    return [percentile(ordered, p) for p in ps]


def summary(values: Iterable[float]) -> Summary | None:
    """Return count, mean, extremes and the usual percentiles; None when there is no value."""
    ordered = sorted(values)
    if not ordered:
        return None
    p50, p95, p99 = (percentile(ordered, p) for p in (50, 95, 99))
    return Summary(len(ordered), math.fsum(ordered) / len(ordered), ordered[0], p50, p95, p99, ordered[-1])
