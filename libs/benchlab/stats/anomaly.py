"""Anomalies: stretches in which a series is far from what it was, measured by what it usually strays.

Each minute's median is held against the median of the hour before it. Its distance counts in robust standard
deviations (a robust z-score, Iglewicz and Hoaglin, 1993): the median of such distances so far times 1.4826, or where
the series has a heavy tail, what 95 % of them keep below over 1.96; for a normal distribution both are the same. So a
slow change, as over a day, is followed, and a spike does not move the measure. It looks back only.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from benchlab.stats.robust import TO_SIGMA, Point, medians

STEP_S = 60.0
BEFORE_S = 3600.0
"""How far back the usual level is looked for: what lasts for half of it is usual."""

WARM_UP = 120
"""So many minutes are seen before any is judged: with fewer, nobody knows how far a series strays."""

LIMIT_Z = 7.0
AT_LEAST = 2
"""So many minutes in a row are an anomaly: one alone is a moment."""

MEMORY = 1440
"""So many minutes say how far the series strays: a day."""

TAIL, TAIL_SIGMAS = 0.95, 1.96


@dataclass(frozen=True)
class Anomaly:
    """A stretch beyond the limit: from and until when (s), its farthest value, the usual one, and the robust z."""

    start_s: float
    end_s: float
    value: float
    usual: float
    z: float

    @property
    def direction(self) -> str:
        """``above`` or ``below`` the usual."""
        return "above" if self.z > 0 else "below"


@dataclass(frozen=True)
class Judged:
    """What a series came to: how many minutes were judged, the newest robust z (None while warming up), anomalies."""

    minutes: int
    z: float | None
    anomalies: list[Anomaly]

    def is_anomalous(self, now_s: float) -> bool:
        """Tell whether the last anomaly is still under way."""
        return bool(self.anomalies) and now_s - self.anomalies[-1].end_s <= AT_LEAST * STEP_S


def judge(points: Iterable[Point], floor: float) -> Judged:
    """Judge a series, whose points are in order of time (s).

    ``floor`` is the least standard deviation that is believed, in the unit of the values: what changes by less than
    that is steady.
    """
    usual, far = Usual(), Stretches()
    z: float | None = None
    minutes = medians(points, STEP_S)
    for at_s, value in minutes:
        level, sigma = usual.expect(at_s, floor)
        z = None
        if level is not None:
            z = (value - level) / sigma
            far.see(Anomaly(at_s - STEP_S, at_s, value, level, z) if abs(z) >= LIMIT_Z else None)
        usual.take(at_s, value)
    far.see(None)
    return Judged(len(minutes), z, far.found)


class Usual:
    """The level of the last hour, and how far the minutes of the last day were from theirs."""

    def __init__(self) -> None:
        self._hour: deque[Point] = deque()
        self._ordered: list[float] = []
        self._distances: deque[float] = deque()
        self._by_size: list[float] = []

    def expect(self, at_s: float, floor: float) -> tuple[float | None, float]:
        """Return the usual level and standard deviation; no level while too little was seen."""
        while self._hour and self._hour[0][0] < at_s - BEFORE_S:
            self._remove(self._ordered, self._hour.popleft()[1])
        if len(self._distances) < WARM_UP or not self._ordered:
            return None, floor
        tail = self._by_size[int(TAIL * len(self._by_size))]
        return median(self._ordered), max(floor, TO_SIGMA * median(self._by_size), tail / TAIL_SIGMAS)

    def take(self, at_s: float, value: float) -> None:
        """Take in a minute."""
        if self._ordered:
            distance = abs(value - median(self._ordered))
            self._distances.append(distance)
            insort(self._by_size, distance)
            if len(self._distances) > MEMORY:
                self._remove(self._by_size, self._distances.popleft())
        self._hour.append((at_s, value))
        insort(self._ordered, value)

    @staticmethod
    def _remove(ordered: list[float], value: float) -> None:
        del ordered[bisect_left(ordered, value)]


class Stretches:
    """Puts minutes beyond the limit together, on one side of the usual and without a minute between."""

    def __init__(self) -> None:
        self.found: list[Anomaly] = []
        self._minutes: list[Anomaly] = []

    def see(self, minute: Anomaly | None) -> None:
        """Take the next minute, None where it is within the limit."""
        if self._minutes and (minute is None or self._breaks(minute)):
            self._close()
        if minute is not None:
            self._minutes.append(minute)

    def _breaks(self, minute: Anomaly) -> bool:
        last = self._minutes[-1]
        return last.direction != minute.direction or minute.start_s - last.end_s > STEP_S / 2

    def _close(self) -> None:
        if len(self._minutes) >= AT_LEAST:
            worst = max(self._minutes, key=lambda minute: abs(minute.z))
            first, last = self._minutes[0], self._minutes[-1]
            self.found.append(Anomaly(first.start_s, last.end_s, worst.value, worst.usual, worst.z))
        self._minutes = []
