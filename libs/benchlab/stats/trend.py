"""A straight trend that outliers do not bend: Theil and Sen's slope, with an interval by Kendall's distribution.

Sources: Sen, Estimates of the regression coefficient based on Kendall's tau, JASA 63 (1968); Hollander and Wolfe,
Nonparametric Statistical Methods, section 9.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import NormalDist, fmean, median

from benchlab.stats.robust import Point

LEAST = 8
"""With fewer points the interval would be that of all slopes."""


@dataclass(frozen=True)
class Trend:
    """Slope in units a second: its estimate and the ends of its interval, and the points that it goes through.

    ``together``: how much the distances of neighbours from the line hang together, 0 to 0.9; much where it is bent.
    """

    slope: float
    low: float
    high: float
    together: float
    points: tuple[Point, ...]

    def level(self, at_s: float, slope: float) -> float:
        """Return where a line of this slope through the middle of the points is at a time."""
        return median(value - slope * (time_s - at_s) for time_s, value in self.points)

    def strays(self) -> float:
        """Return how far the points lie from their line: half of the way from the lowest to the highest."""
        apart = [value - self.slope * time_s for time_s, value in self.points]
        return (max(apart) - min(apart)) / 2


def trend(points: Sequence[Point], confidence: float = 0.99) -> Trend | None:
    """Return the trend of points in order of time; None for fewer than 8.

    Where neighbours hang together, the interval is wider by what their correlation takes from the number of points
    (Hamed and Rao, Journal of Hydrology 204, 1998, of the first order).
    """
    count = len(points)
    if count < LEAST:
        return None
    slopes = sorted(
        (b - a) / (later_s - earlier_s)
        for number, (later_s, b) in enumerate(points)
        for earlier_s, a in points[:number]
        if later_s > earlier_s
    )
    slope = median(slopes)
    together = correlation([value - slope * time_s for time_s, value in points])
    variance = count * (count - 1) * (2 * count + 5) / 18 * (1 + together) / (1 - together)
    spread = NormalDist().inv_cdf(0.5 + confidence / 2) * sqrt(variance)
    below = max(0, int((len(slopes) - spread) / 2))
    above = min(len(slopes) - 1, int((len(slopes) + spread) / 2) + 1)
    return Trend(slope, slopes[below], slopes[above], together, tuple(points))


def correlation(values: Sequence[float]) -> float:
    """Return how much neighbours hang together, 0 to 0.9; what lies on opposite sides counts as independent."""
    mean = fmean(values)
    apart = [value - mean for value in values]
    square = sum(one * one for one in apart)
    found = sum(a * b for a, b in pairwise(apart)) / square if square > 0 else 0.0
    return min(0.9, max(0.0, found))
