"""Power samples as series of stretches: which power was drawn at an instant, and how many joules between two.

Nothing is extrapolated and nothing interpolated across a gap. What covers an interval is decided by the samples
alone, never by when they were read: that is what makes live, restart and replay agree.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Any, cast

import msgspec

from benchlab.event import Event

GAP = "gap"
BEFORE_FIRST = "before_first"
AFTER_LAST = "after_last"
NO_SOURCE = "no_source"
PENDING = "pending"

COUNTED_STEPS = 10
"""Over how many steps of a counter its difference is believed: it may be one step off."""


class Sample(msgspec.Struct, array_like=True, gc=False):
    """One reading of a power."""

    ts_ns: int
    power_w: float
    counter_j: float | None
    temp_c: float | None
    unc_ns: int | None
    averaged_ns: int
    sim: bool


class Stretch(msgspec.Struct, array_like=True, gc=False):
    """The time between two neighbouring samples: power runs straight from one to the other.

    ``counted_j`` is its energy by the source's own counter, where it has one that did not run backwards; else energy
    is the trapezoid of power. ``unc_ns`` and ``averaged_ns`` are the larger of its two samples'.
    """

    start_ns: int
    end_ns: int
    start_w: float
    rise_w: float
    counted_j: float | None
    start_c: float | None
    end_c: float | None
    unc_ns: int | None
    averaged_ns: int
    sim: bool

    def share(self, a_ns: int, b_ns: int) -> float:
        """Return how far into the stretch the middle between two times lies, 0 to 1."""
        start_ns = self.start_ns
        twice_ns = 2 * (self.end_ns - start_ns)
        return (a_ns - start_ns + b_ns - start_ns) / twice_ns if twice_ns else 0.0

    def energy_j(self, a_ns: int, b_ns: int, is_counted: bool) -> float:
        """Return the joules of a part of it: power runs straight, so its mean is its value in the middle."""
        if is_counted and self.counted_j is not None and b_ns > a_ns:
            return self.counted_j * ((b_ns - a_ns) / (self.end_ns - self.start_ns))
        return (self.start_w + self.rise_w * self.share(a_ns, b_ns)) * (b_ns - a_ns) * 1e-9

    def temp_c(self, share: float) -> float | None:
        """Return the temperature at a share of it; absent where an end that counts has none."""
        start_c, end_c = self.start_c, self.end_c
        if start_c is None or end_c is None:
            return end_c if share == 1.0 else start_c if share == 0.0 else None
        return start_c + (end_c - start_c) * share


def stretch_between(a: Sample, b: Sample) -> Stretch:
    """Return the stretch from one sample to the next; from a sample to itself, an instant."""
    counted_j = None
    if a.counter_j is not None and b.counter_j is not None and b.counter_j >= a.counter_j:
        counted_j = b.counter_j - a.counter_j
    return Stretch(
        a.ts_ns,
        b.ts_ns,
        a.power_w,
        b.power_w - a.power_w,
        counted_j,
        a.temp_c,
        b.temp_c,
        larger(a.unc_ns, b.unc_ns),
        a.averaged_ns if a.averaged_ns > b.averaged_ns else b.averaged_ns,
        a.sim or b.sim,
    )


def larger(a_ns: int | None, b_ns: int | None) -> int | None:
    """Return the larger of two durations, of which either may not be stated."""
    if a_ns is None or b_ns is None:
        return a_ns if b_ns is None else b_ns
    return a_ns if a_ns > b_ns else b_ns


class Cover(msgspec.Struct, gc=False):
    """The stretches of one signal that together cover an interval, in order, and the worst that they say of it.

    Its counter says nothing about less than ``counted_from_ns``.
    """

    source: str
    name: str
    stretches: list[Stretch]
    counted_from_ns: int = 0
    unc_ns: int | None = None
    averaged_ns: int = 0
    sim: bool = False

    def middle(self, a_ns: int, b_ns: int) -> Stretch:
        """Return the stretch in which the middle between two times lies; of two that meet there, the first."""
        return next(stretch for stretch in self.stretches if a_ns + b_ns <= 2 * stretch.end_ns)

    def energy_j(self, a_ns: int, b_ns: int) -> float:
        """Return the joules over the interval."""
        is_counted = b_ns - a_ns >= self.counted_from_ns
        return sum([s.energy_j(max(a_ns, s.start_ns), min(b_ns, s.end_ns), is_counted) for s in self.stretches])


def cover_of(source: str, name: str, stretches: list[Stretch], counted_from_ns: int) -> Cover:
    """Return the cover that consists of these stretches."""
    cover = Cover(source, name, stretches, counted_from_ns)
    for stretch in stretches:
        cover.unc_ns = larger(cover.unc_ns, stretch.unc_ns)
        if stretch.averaged_ns > cover.averaged_ns:
            cover.averaged_ns = stretch.averaged_ns
        cover.sim = cover.sim or stretch.sim
    return cover


class SeriesState(msgspec.Struct, array_like=True):
    """What has to be kept for a series to go on elsewhere."""

    source: str
    dev: str | None
    key: str
    first_ns: int
    samples: list[Sample]
    stretches: list[Stretch | None]
    absences: list[list[int | None]]


class Series:
    """The samples of one (source, dev, key), oldest first.

    ``stretches[i]`` ends with sample i and is None after a gap. ``absences`` are [from, until] pairs in which the
    source said that it was gone. Where the source counts joules too, ``energy_key`` and ``step_ns`` are the counter's
    key and the longest time between two steps of it.
    """

    def __init__(
        self, source: str, dev: str | None, key: str, max_gap_ns: int, energy_key: str | None = None, step_ns: int = 0
    ) -> None:
        self.source = source
        self.dev = dev
        self.key = key
        self.name = f"{source}:{key}"
        self.first_ns = -1
        self.samples: list[Sample] = []
        self._energy_key = energy_key
        self._counted_from_ns = COUNTED_STEPS * step_ns
        self._max_gap_ns = max_gap_ns
        self._ts_ns: list[int] = []
        self._stretches: list[Stretch | None] = []
        self._absences: list[list[int | None]] = []
        self._latest = Cover(source, self.name, [])  # what the pair before was covered by

    def add(self, event: Event, averaged_ns: int) -> None:
        """Append a sample; one without a number under the key, or at the time of the one before, is left out."""
        ts_ns, kv = event.ts_ns, event.kv
        power_w = number(kv.get(self.key))
        if power_w is None or (self._ts_ns and ts_ns <= self._ts_ns[-1]):
            return
        counter_j = None if self._energy_key is None else number(kv.get(self._energy_key))
        temp_c = number(kv.get("temp_c"))
        sample = Sample(ts_ns, power_w, counter_j, temp_c, event.unc_ns, averaged_ns, event.sim)
        self._stretches.append(self._stretch_to(sample))
        self.samples.append(sample)
        self._ts_ns.append(ts_ns)
        if self.first_ns < 0:
            self.first_ns = ts_ns

    def leave(self, ts_ns: int) -> None:
        """Note that the source said it is gone from here on."""
        if self.samples and not self._is_gone():
            self._absences.append([ts_ns, None])

    def _takes_part(self, a_ns: int, b_ns: int) -> bool:
        """Tell whether this series must cover an interval: it had begun by its end, and was not gone all along."""
        if not 0 <= self.first_ns <= b_ns:
            return False
        for since_ns, until_ns in self._absences:
            if since_ns is not None and since_ns <= a_ns and (until_ns is None or until_ns > b_ns):
                return False
        return True

    def cover(self, a_ns: int, b_ns: int, known_ns: int, final: bool) -> Cover | str:
        """Return the stretches over [a_ns, b_ns], or why there are none; NO_SOURCE if the series has no part in it.

        Every sample before ``known_ns`` is here. PENDING: one that is not here yet may still close the last stretch;
        never when ``final``.
        """
        latest = self._latest.stretches
        if len(latest) == 1 and latest[0].start_ns <= a_ns < b_ns <= latest[0].end_ns:
            return self._latest
        if not self._takes_part(a_ns, b_ns):
            return NO_SOURCE
        left = bisect_right(self._ts_ns, a_ns) - 1
        if left < 0:
            return BEFORE_FIRST
        right = bisect_left(self._ts_ns, b_ns, left)
        if right == len(self._ts_ns):
            return self._open_end(left, known_ns, final)
        if left == right:
            found: list[Stretch | None] = [stretch_between(self.samples[left], self.samples[left])]
        else:
            found = self._stretches[left + 1 : right + 1]
        if None in found:
            return GAP
        self._latest = cover_of(self.source, self.name, cast("list[Stretch]", found), self._counted_from_ns)
        return self._latest

    def prune(self, before_ns: int) -> None:
        """Forget the samples that no interval starting at or after ``before_ns`` needs."""
        cut = bisect_right(self._ts_ns, before_ns) - 1
        if cut < 256:
            return
        del self._ts_ns[:cut], self.samples[:cut], self._stretches[:cut]
        self._absences = [a for a in self._absences if a[1] is None or a[1] >= before_ns]

    def state(self) -> SeriesState:
        """Return what ``restore`` needs."""
        return SeriesState(
            self.source, self.dev, self.key, self.first_ns, self.samples, self._stretches, self._absences
        )

    def restore(self, state: SeriesState) -> None:
        """Go on from another series' state."""
        self.first_ns = state.first_ns
        self.samples = state.samples
        self._ts_ns = [sample.ts_ns for sample in state.samples]
        self._stretches = state.stretches
        self._absences = state.absences

    def _stretch_to(self, sample: Sample) -> Stretch | None:
        """Return the stretch that ends with a new sample; it also ends an announced absence."""
        if not self.samples:
            return None
        if self._is_gone():
            self._absences[-1][1] = sample.ts_ns
            return None
        before = self.samples[-1]
        return stretch_between(before, sample) if sample.ts_ns - before.ts_ns <= self._max_gap_ns else None

    def _open_end(self, left: int, known_ns: int, final: bool) -> str:
        """Say what is missing where no sample lies at or after the interval's end."""
        unbroken = None not in self._stretches[left + 1 :]
        if not unbroken or self._is_gone() or self._ts_ns[-1] + self._max_gap_ns < known_ns:
            return GAP
        return AFTER_LAST if final else PENDING

    def _is_gone(self) -> bool:
        """Tell whether the source said that it is gone and has not come back."""
        return bool(self._absences) and self._absences[-1][1] is None


def number(value: Any) -> float | None:
    """Return a finite number as float; anything else, a bool too, is no number."""
    if value.__class__ is float or value.__class__ is int:
        try:
            as_float = float(value)
        except OverflowError:  # an integer of hundreds of digits
            return None
        return as_float if math.isfinite(as_float) else None
    return None
