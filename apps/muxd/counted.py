"""A counter known at its readings: how much was counted over an interval, or why nobody can tell.

Nothing is extrapolated, and nothing interpolated across a gap or a reset. The readings alone decide, never when they
were read: that is what makes live, restart and replay agree.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import attrgetter

import msgspec

from muxd.power import AFTER_LAST, BEFORE_FIRST, GAP, NO_SOURCE, PENDING

_by_time = attrgetter("ts_ns")


class Knot(msgspec.Struct, array_like=True, gc=False):
    """One reading. Readings of one ``run`` follow each other without a gap and without a reset."""

    ts_ns: int
    total: float
    run: int
    sim: bool


class Counted(msgspec.Struct, gc=False):
    """What was counted over an interval, and whether a simulator made up any of it."""

    amount: float
    sim: bool


class CounterState(msgspec.Struct, array_like=True):
    """What has to be kept for a counter to go on elsewhere."""

    first_ns: int = -1
    knots: list[Knot] = []
    is_broken: bool = False


class Counter:
    """The readings of one counter, oldest first; ``max_gap_ns`` is the longest way that is still interpolated."""

    def __init__(self, max_gap_ns: int) -> None:
        self._max_gap_ns = max_gap_ns
        self._first_ns = -1
        self._knots: list[Knot] = []
        self._is_broken = False

    def add(self, ts_ns: int, total: float, sim: bool) -> None:
        """Take a reading; one that is not newer than the one before is left out."""
        run = 0
        if self._knots:
            before = self._knots[-1]
            if ts_ns <= before.ts_ns:
                return
            is_cut = self._is_broken or total < before.total or ts_ns - before.ts_ns > self._max_gap_ns
            run = before.run + is_cut
        if self._first_ns < 0:
            self._first_ns = ts_ns
        self._is_broken = False
        self._knots.append(Knot(ts_ns, total, run, sim))

    def add_mean(self, ts_ns: int, per_s: float | None, sim: bool) -> None:
        """Take a reading of a mean since the reading before; None says that it was not known."""
        if self._knots and ts_ns <= self._knots[-1].ts_ns:
            return
        total = 0.0
        if self._knots:
            total = self._knots[-1].total
            if per_s is None:
                self.leave()
            else:
                total += per_s * (ts_ns - self._knots[-1].ts_ns) * 1e-9
        self.add(ts_ns, total, sim)

    def leave(self) -> None:
        """Note that what is counted from here on is another count."""
        self._is_broken = True

    def between(self, a_ns: int, b_ns: int, now_ns: int, final: bool) -> Counted | str:
        """Return what was counted from a time to a later one, PENDING, or why it is not known.

        Every reading before ``now_ns`` is here; with ``final`` no other will come.
        """
        knots = self._knots
        if not knots:
            return NO_SOURCE if final or now_ns > b_ns + self._max_gap_ns else PENDING
        if self._first_ns > a_ns:
            return BEFORE_FIRST
        left = bisect_right(knots, a_ns, key=_by_time) - 1
        right = bisect_left(knots, b_ns, key=_by_time)
        if left < 0:
            return GAP  # forgotten, because it lies further back than anybody may ask
        if right == len(knots):
            return self._open_end(knots[left].run, now_ns, final)
        if knots[left].run != knots[right].run:
            return GAP
        amount = self._at(b_ns, right) - self._at(a_ns, min(left + 1, right))
        return Counted(amount, any(knot.sim for knot in knots[left : right + 1]))

    def prune(self, before_ns: int) -> None:
        """Forget the readings that no interval starting at or after a time needs."""
        cut = bisect_right(self._knots, before_ns, key=_by_time) - 1
        if cut > 0:
            del self._knots[:cut]

    def state(self) -> CounterState:
        """Return what ``restore`` needs."""
        return CounterState(self._first_ns, self._knots, self._is_broken)

    def restore(self, state: CounterState) -> None:
        """Go on from another counter's state."""
        self._first_ns, self._is_broken = state.first_ns, state.is_broken
        self._knots = list(state.knots)

    def _open_end(self, run: int, now_ns: int, final: bool) -> str:
        """Say what is missing where no reading lies at or after the interval's end."""
        last = self._knots[-1]
        if run != last.run or self._is_broken or now_ns > last.ts_ns + self._max_gap_ns:
            return GAP
        return AFTER_LAST if final else PENDING

    def _at(self, ts_ns: int, right: int) -> float:
        """Return the count at a time that lies in the stretch up to a reading."""
        b = self._knots[right]
        if b.ts_ns == ts_ns or right == 0:
            return b.total
        a = self._knots[right - 1]
        return a.total + (b.total - a.total) * ((ts_ns - a.ts_ns) / (b.ts_ns - a.ts_ns))
