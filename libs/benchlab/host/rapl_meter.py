"""One energy counter of RAPL over time: joules without its wraps, and watts over a window that means something."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from benchlab.daemon.source import Transient
from benchlab.host.rapl_zones import MOST_W, Zone

NS = 1_000_000_000
WINDOW_NS = 100_000_000
"""Shortest time that power is averaged over: the counter moves every millisecond, and less is noise."""

STILL_NS = 10 * NS
"""A counter that has not moved for so long does not count: a processor that runs draws power."""

_EARLY_NS = 5_000_000  # by so much a sample may come before its time
_SHORTEST_NS = 10_000_000
_TICK_UJ = 2_000_000  # the most that a counter moves at a time


class Meter:
    """Follows the counter of one zone.

    ``energy_uj`` is what was counted since the first value, ``step_uj`` since the value before, ``power_w`` the mean
    over the time since the counter was seen to move at least a window ago: None where it has not moved since.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.energy_uj = 0
        self.step_uj = 0
        self.power_w: float | None = None
        self.raw_uj = -1
        self.is_read = False
        self._at_ns = 0
        self._moved_ns = 0
        self._points: deque[tuple[int, int]] = deque()

    def take(self, raw_uj: int, at_ns: int) -> None:
        """Take a value of the counter as read at a time. Raises Transient where what was counted is not known."""
        before_uj, before_ns = self.raw_uj, self._at_ns
        self.raw_uj, self._at_ns, self.is_read = raw_uj, at_ns, True
        if before_uj < 0:
            self._begin(at_ns)
            return
        step_uj = self._step(before_uj, before_ns)
        if isinstance(step_uj, str):
            self._begin(at_ns)
            raise Transient(f"{self.zone.path} ({self.zone.name}): {step_uj}: counted anew from here")
        self.step_uj = step_uj
        self.energy_uj += step_uj
        if step_uj:
            self._moved_ns = at_ns
        self._average(at_ns)

    def skip(self) -> None:
        """Note that the counter could not be read this time; what it counts meanwhile is in the next step."""
        self.step_uj, self.power_w, self.is_read = 0, None, False

    @property
    def is_still(self) -> bool:
        """Whether the counter has not moved for so long that it does not count."""
        return self._at_ns - self._moved_ns >= STILL_NS

    def _begin(self, at_ns: int) -> None:
        self.step_uj, self.power_w, self._moved_ns = 0, None, at_ns
        self._points = deque([(at_ns, self.energy_uj)])

    def _step(self, before_uj: int, before_ns: int) -> int | str:
        """Return the energy since the value before, or why it is not known."""
        zone, elapsed_ns = self.zone, self._at_ns - before_ns
        step_uj = self.raw_uj - before_uj
        resting_ns = max(self._at_ns - self._moved_ns, _SHORTEST_NS)
        if zone.energy_range_uj and 2 * elapsed_ns * zone.limit_w > zone.energy_range_uj * 1e3:
            return f"no value for {elapsed_ns / NS:.0f} s, in which it may have wrapped unseen"
        if step_uj >= 0:
            return step_uj if step_uj * 1e3 <= resting_ns * MOST_W else f"found a leap of {step_uj / 1e6:.0f} J"
        step_uj += zone.energy_range_uj
        return step_uj if 0 <= step_uj * 1e3 <= resting_ns * zone.limit_w else "found it set back, not wrapped"

    def _average(self, at_ns: int) -> None:
        points = self._points
        while len(points) > 1 and at_ns - points[1][0] >= WINDOW_NS - _EARLY_NS:
            points.popleft()
        since_ns, since_uj = points[0]
        is_long_enough = at_ns - since_ns >= WINDOW_NS - _EARLY_NS
        has_moved = self.energy_uj > since_uj
        self.power_w = (self.energy_uj - since_uj) * 1e3 / (at_ns - since_ns) if is_long_enough and has_moved else None
        # while a counter rests, its next step belongs to all of that time, unless it rests for too long
        if self.step_uj or at_ns - points[-1][0] >= STILL_NS:
            points.append((at_ns, self.energy_uj))


class Mirrors:
    """Finds counters that are one and the same: early processors of several dies show it once for each die."""

    def __init__(self) -> None:
        self._twins: set[tuple[str, str]] = set()
        self._before: dict[str, int] = {}

    def update(self, meters: Mapping[str, Meter]) -> set[str]:
        """Take the meters just read and return those that show the counter of another one before them."""
        paths = list(meters)
        for n, later in enumerate(paths):
            for earlier in paths[:n]:
                self._compare(meters[earlier], meters[later])
        self._before = {path: meter.raw_uj for path, meter in meters.items()}
        return {later for earlier, later in self._twins if earlier in meters and later in meters}

    def _compare(self, a: Meter, b: Meter) -> None:
        pair = (a.zone.path, b.zone.path)
        a_before, b_before = (self._before.get(path, -1) for path in pair)
        # two counters never agree to the microjoule twice
        if a.raw_uj == b.raw_uj > 0 and a_before == b_before not in (-1, a.raw_uj):
            self._twins.add(pair)
            return
        apart_uj = abs(a.raw_uj - b.raw_uj)
        apart_uj = min(apart_uj, abs(a.zone.energy_range_uj - apart_uj))
        # they are not read at one instant: one may be ahead by what it has just counted
        if apart_uj > _TICK_UJ + max(a.step_uj, b.step_uj):
            self._twins.discard(pair)
