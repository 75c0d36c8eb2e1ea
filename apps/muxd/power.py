"""Power samples as series: which power was drawn at an instant, and how many joules between two.

Nothing is extrapolated and nothing interpolated across a gap. What brackets an interval is decided by the samples
alone, never by when they were read: that is what makes live, restart and replay agree.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Any

import msgspec

from benchlab.event import Event

GAP = "gap"
BEFORE_FIRST = "before_first"
AFTER_LAST = "after_last"
NO_SOURCE = "no_source"
PENDING = "pending"


class Bracket(msgspec.Struct, gc=False):
    """The samples of one series around an interval: ``left`` at or before its start, ``right`` at or after its end."""

    series: Series
    left: int
    right: int


class Measured(msgspec.Struct, gc=False):
    """What a series says of an interval: power and temperature at its midpoint, the energy over it.

    ``age_ns`` is the distance from the midpoint to the nearest sample.
    """

    power_w: float
    energy_j: float
    age_ns: int
    temp_c: float | None


class Series(msgspec.Struct):
    """The samples of one (source, dev, key), oldest first, as parallel lists.

    ``joules[i]`` is the energy between sample i-1 and i: the difference of the source's own counter
    (``counted[i]``) where it has one that did not run backwards, else the trapezoid of power. ``run[i]`` numbers the
    stretches without a gap. ``absences`` are [from, until] pairs in which the source said that it was gone.
    """

    source: str
    dev: str | None
    key: str
    energy_key: str | None
    max_gap_ns: int
    first_ns: int = -1
    ts_ns: list[int] = []
    power_w: list[float] = []
    joules: list[float] = []
    counted: list[bool] = []
    run: list[int] = []
    temp_c: list[float | None] = []
    unc_ns: list[int | None] = []
    averaged_ns: list[int | None] = []
    sim: list[bool] = []
    counter_j: float | None = None
    absences: list[list[int | None]] = []

    def add(self, event: Event, averaged_ns: int | None) -> None:
        """Append a sample; one without a number under ``key``, or at the time of the one before, is left out."""
        power_w = number(event.kv.get(self.key))
        if power_w is None or (self.ts_ns and event.ts_ns <= self.ts_ns[-1]):
            return
        counter_j = None if self.energy_key is None else number(event.kv.get(self.energy_key))
        self._extend(event.ts_ns, power_w, counter_j)
        self.counter_j = counter_j
        self.ts_ns.append(event.ts_ns)
        self.power_w.append(power_w)
        self.temp_c.append(number(event.kv.get("temp_c")))
        self.unc_ns.append(event.unc_ns)
        self.averaged_ns.append(averaged_ns)
        self.sim.append(event.sim)

    def _extend(self, ts_ns: int, power_w: float, counter_j: float | None) -> None:
        """Append the stretch that ends with a new sample."""
        if not self.ts_ns:
            self.first_ns = ts_ns if self.first_ns < 0 else self.first_ns
            self.run.append(0)
            joules, counted = 0.0, False
        elif self._returns(ts_ns) or ts_ns - self.ts_ns[-1] > self.max_gap_ns:
            self.run.append(self.run[-1] + 1)
            joules, counted = 0.0, False
        else:
            self.run.append(self.run[-1])
            joules, counted = self._stretch(ts_ns, power_w, counter_j)
        self.joules.append(joules)
        self.counted.append(counted)

    def _returns(self, ts_ns: int) -> bool:
        """End the absence that the source had announced, if there is one."""
        if not self.absences or self.absences[-1][1] is not None:
            return False
        self.absences[-1][1] = ts_ns
        return True

    def _stretch(self, ts_ns: int, power_w: float, counter_j: float | None) -> tuple[float, bool]:
        if counter_j is not None and self.counter_j is not None and counter_j >= self.counter_j:
            return counter_j - self.counter_j, True
        return 0.5 * (self.power_w[-1] + power_w) * (ts_ns - self.ts_ns[-1]) * 1e-9, False

    def leave(self, ts_ns: int) -> None:
        """Note that the source said it is gone from here on."""
        if self.ts_ns and (not self.absences or self.absences[-1][1] is not None):
            self.absences.append([ts_ns, None])

    def takes_part(self, a_ns: int, b_ns: int) -> bool:
        """Tell whether this series must bracket an interval: it had begun by its end, and was not gone all along."""
        if not 0 <= self.first_ns <= b_ns:
            return False
        if not self.absences:
            return True
        for since_ns, until_ns in self.absences:
            if since_ns is not None and since_ns <= a_ns and (until_ns is None or until_ns > b_ns):
                return False
        return True

    def bracket(self, a_ns: int, b_ns: int, known_ns: int, final: bool) -> Bracket | str:
        """Return the samples around [a_ns, b_ns], or why there are none.

        Every sample before ``known_ns`` is here. PENDING: one that is not here yet may still close the bracket;
        never when ``final``.
        """
        ts_ns = self.ts_ns
        left = bisect_right(ts_ns, a_ns) - 1
        if left < 0:
            return BEFORE_FIRST
        right = bisect_left(ts_ns, b_ns, left)
        if right < len(ts_ns):
            return Bracket(self, left, right) if self.run[left] == self.run[right] else GAP
        last = len(ts_ns) - 1
        if self.run[left] != self.run[last] or self._is_gone_before(b_ns) or ts_ns[last] + self.max_gap_ns < known_ns:
            return GAP
        return AFTER_LAST if final else PENDING

    def _is_gone_before(self, b_ns: int) -> bool:
        """Tell whether an announced absence after the last sample already rules out a bracket."""
        return bool(self.absences) and self.absences[-1][1] is None and self.absences[-1][0] is not None

    def measure(self, left: int, right: int, a_ns: int, b_ns: int) -> Measured:
        """Return what was drawn over [a_ns, b_ns], which the samples ``left`` and ``right`` bracket."""
        ts_ns, power_w = self.ts_ns, self.power_w
        middle_ns = (a_ns + b_ns) // 2
        at = right
        if right - left > 1:
            at = bisect_left(ts_ns, middle_ns, left + 1, right)
            energy_j = self._stretches_j(left, right, a_ns, b_ns)
        else:
            energy_j = self._partial_j(right, a_ns, b_ns)
        if left == right:
            return Measured(power_w[at], energy_j, 0, self.temp_c[at])
        start_ns, start_w = ts_ns[at - 1], power_w[at - 1]
        since_ns, left_ns = middle_ns - start_ns, ts_ns[at] - middle_ns
        share = since_ns / (since_ns + left_ns)
        middle_w = start_w + (power_w[at] - start_w) * share
        return Measured(middle_w, energy_j, min(since_ns, left_ns), self._temperature_c(at, share))

    def _temperature_c(self, at: int, share: float) -> float | None:
        """Return the temperature within the stretch that ends with sample ``at``; absent where an end has none."""
        before_c, after_c = self.temp_c[at - 1], self.temp_c[at]
        if share == 1.0 or after_c is None:
            return after_c
        if share == 0.0 or before_c is None:
            return before_c
        return before_c + (after_c - before_c) * share

    def _stretches_j(self, left: int, right: int, a_ns: int, b_ns: int) -> float:
        """Return the joules over an interval that holds samples: its two ends, and the whole stretches between."""
        first_j = self._partial_j(left + 1, a_ns, self.ts_ns[left + 1])
        last_j = self._partial_j(right, self.ts_ns[right - 1], b_ns)
        return first_j + sum(self.joules[left + 2 : right]) + last_j

    def _partial_j(self, right: int, a_ns: int, b_ns: int) -> float:
        """Return the joules of a part of the stretch that ends with sample ``right``."""
        if a_ns == b_ns:
            return 0.0
        start_ns, start_w = self.ts_ns[right - 1], self.power_w[right - 1]
        length_ns = self.ts_ns[right] - start_ns
        if self.counted[right]:
            return self.joules[right] * ((b_ns - a_ns) / length_ns)
        rise_w = self.power_w[right] - start_w
        middle_w = start_w + rise_w * (((a_ns - start_ns) + (b_ns - start_ns)) / (2 * length_ns))
        return middle_w * (b_ns - a_ns) * 1e-9

    def prune(self, before_ns: int) -> None:
        """Forget the samples that no interval starting at or after ``before_ns`` needs."""
        cut = bisect_right(self.ts_ns, before_ns) - 1
        if cut < 256:
            return
        for column in (
            self.ts_ns,
            self.power_w,
            self.joules,
            self.counted,
            self.run,
            self.temp_c,
            self.unc_ns,
            self.averaged_ns,
            self.sim,
        ):
            del column[:cut]
        self.absences = [a for a in self.absences if a[1] is None or a[1] >= before_ns]


def number(value: Any) -> float | None:
    """Return a finite number as float; anything else, a bool too, is no number."""
    if value.__class__ is float or value.__class__ is int:
        try:
            as_float = float(value)
        except OverflowError:  # JSON's integers have no bound
            return None
        return as_float if math.isfinite(as_float) else None
    return None
