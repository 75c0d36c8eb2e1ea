"""When something that grows will be used up: a time with an interval, and whether that is an alarm.

The estimate follows the longest window over which growth was straight. The interval also holds what shorter windows
say, down to a twelfth of it, each by how far the series strayed from its line: whoever breathes by day and night grows
at another pace each hour. Nothing is alarming that lies much further ahead than was looked back: every morning's rise
would end in exhaustion otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from benchlab.stats.robust import Point, blocks
from benchlab.stats.trend import Trend, trend

WINDOWS_S = (86_400.0, 43_200.0, 21_600.0, 10_800.0, 3_600.0, 1_800.0)
BLOCKS = 24
"""Into so many steps a window is cut: their medians are nearly independent, where samples are not."""

CONFIDENCE = 0.99
BENT = 0.6
"""How much neighbours may hang together about a line that is straight; the window is too long where it is more."""

PART = 12
AHEAD = 2.0
"""So many times the window an alarm may lie ahead."""

LEAST_GROWTH = 0.02
"""The least growth over the window, as a share of the limit, that is believed to be one."""


@dataclass(frozen=True)
class Forecast:
    """When the limit is reached, in seconds from the end of the series.

    ``low_s`` and ``high_s`` bound it; None stands for never. ``slope`` is in units a second, over ``window_s``.
    ``alarm``: the growth is certain, and at its pace the limit is near.
    """

    left_s: float | None
    low_s: float | None
    high_s: float | None
    level: float
    slope: float
    slope_low: float
    slope_high: float
    window_s: float
    alarm: bool


def exhaustion(points: Iterable[Point], limit: float) -> Forecast | None:
    """Return when a series reaches a limit; None with less than half an hour of it, or where nothing can be used up."""
    every = list(points)
    if not every or limit <= 0:
        return None
    now_s = every[-1][0]
    trends = {window_s: found for window_s in WINDOWS_S if (found := over(every, now_s, window_s)) is not None}
    if not trends:
        return None
    straight = (window_s for window_s, found in trends.items() if found.together <= BENT)
    chosen_s = next(straight, min(trends))
    within = [found for window_s, found in trends.items() if chosen_s / PART <= window_s <= chosen_s]
    return forecast(trends[chosen_s], chosen_s, bounds(within, now_s, limit), now_s, limit)


def over(points: Sequence[Point], now_s: float, window_s: float) -> Trend | None:
    """Return the trend over a window, None where the series does not fill it."""
    since_s = now_s - window_s
    if points[0][0] > since_s + window_s / BLOCKS:
        return None
    found = trend(blocks([point for point in points if point[0] >= since_s], BLOCKS), CONFIDENCE)
    return found if found is not None and len(found.points) >= BLOCKS // 2 else None


def bounds(trends: Iterable[Trend], now_s: float, limit: float) -> tuple[float, float]:
    """Return the earliest and the latest time left that these trends allow."""
    early_s, late_s = inf, 0.0
    for one in trends:
        strays = one.strays()
        early_s = min(early_s, left(one, one.high, now_s, limit - strays))
        late_s = max(late_s, left(one, one.low, now_s, limit + strays))
    return early_s, late_s


def left(found: Trend, slope: float, now_s: float, limit: float) -> float:
    """Return how long a line of a slope takes to a limit, in seconds; infinite where it never gets there."""
    missing = limit - found.level(now_s, slope)
    if missing <= 0:
        return 0.0
    return missing / slope if slope > 0 else inf


def forecast(found: Trend, window_s: float, within: tuple[float, float], now_s: float, limit: float) -> Forecast:
    """Return the forecast by one trend, with an interval."""
    left_s = left(found, found.slope, now_s, limit)
    is_certain = found.low > 0 and found.slope * window_s >= LEAST_GROWTH * limit
    return Forecast(
        known(left_s),
        known(within[0]),
        known(within[1]),
        found.level(now_s, found.slope),
        found.slope,
        found.low,
        found.high,
        window_s,
        alarm=is_certain and left_s <= AHEAD * window_s,
    )


def known(seconds: float) -> float | None:
    """Return a time ahead, None for never."""
    return seconds if isfinite(seconds) else None
