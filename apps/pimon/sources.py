"""The three sources of a tick: pi.system, pi.battery and pi.processes, with one ``ts_ns``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from benchlab.daemon import Absent, Reading, Source
from benchlab.event import Scalar
from pimon.snapshot import Sampler, SystemSample, event_kv

SYSTEM, BATTERY, PROCESSES = "pi.system", "pi.battery", "pi.processes"
LANE = "pimon"
"""One thread takes a tick: first the system, whose firmware may take its time, then at once the rest."""

_NOT_RECORDED = ("user",)


class Ticks:
    """The time of the tick that is under way.

    Whoever has had it begins the next one, and so does who comes after half a period: then it is another tick's.
    """

    def __init__(self, now_ns: Callable[[], int], period_s: float) -> None:
        self._now_ns = now_ns
        self._longest_ns = round(period_s * 0.5e9)
        self._lock = threading.Lock()
        self._ts_ns = 0
        self._served: set[str] = set()

    def join(self, who: str) -> int:
        """Return the tick's time."""
        with self._lock:
            now_ns = self._now_ns()
            if not self._served or who in self._served or now_ns - self._ts_ns > self._longest_ns:
                self._ts_ns = now_ns
                self._served.clear()
            self._served.add(who)
            return self._ts_ns

    def spent_ns(self) -> int:
        """Return how long ago the tick began."""
        return max(0, self._now_ns() - self._ts_ns)


class SystemSource:
    """The machine as a whole. ``show`` is given each sample, for whoever else wants it."""

    name = SYSTEM
    lane = LANE
    stamping = "end"

    def __init__(self, sampler: Sampler, ticks: Ticks, period_s: float, show: Callable[[SystemSample], None]) -> None:
        self.window_ms = period_s * 1e3
        self._sampler = sampler
        self._ticks = ticks
        self._show = show

    @property
    def identity(self) -> dict[str, Scalar]:
        """Model, serial number and firmware."""
        return event_kv(self._sampler.hardware)

    def sample(self) -> list[Reading]:
        """Return one reading. Raises Absent if the machine tells nothing at all."""
        system = self._sampler.system()
        kv = event_kv(system)
        if not kv:
            raise Absent("neither /proc nor /sys tells anything")
        self._show(system)
        return [Reading(kv, ts_ns=self._ticks.join(self.name), sim=self._sampler.is_simulated)]


class BatterySource:
    """The battery."""

    name = BATTERY
    lane = LANE

    def __init__(self, sampler: Sampler, ticks: Ticks) -> None:
        self._sampler = sampler
        self._ticks = ticks

    def sample(self) -> list[Reading]:
        """Return one reading. Raises Absent or Transient."""
        ts_ns = self._ticks.join(self.name)
        kv = event_kv(self._sampler.battery())
        return [Reading(kv, ts_ns=ts_ns, unc_ns=self._ticks.spent_ns(), sim=self._sampler.is_simulated)]


class ProcessSource:
    """The busiest processes."""

    name = PROCESSES
    lane = LANE
    stamping = "end"

    def __init__(self, sampler: Sampler, ticks: Ticks, period_s: float) -> None:
        self.window_ms = period_s * 1e3
        self._sampler = sampler
        self._ticks = ticks

    def sample(self) -> list[Reading]:
        """Return one reading. Raises Absent or Transient."""
        ts_ns = self._ticks.join(self.name)
        rows = [event_kv(process, _NOT_RECORDED) for process in self._sampler.processes()]
        return [Reading({"processes": rows}, ts_ns=ts_ns, sim=self._sampler.is_simulated)]


def sources_of(
    sampler: Sampler,
    now_ns: Callable[[], int],
    period_s: float,
    has_battery: bool,
    show: Callable[[SystemSample], None] = lambda system: None,
) -> Sequence[Source]:
    """Return the sources of a sampler; of one without a battery there is none for it."""
    ticks = Ticks(now_ns, period_s)
    battery: list[Source] = [BatterySource(sampler, ticks)] if has_battery else []
    return [SystemSource(sampler, ticks, period_s, show), *battery, ProcessSource(sampler, ticks, period_s)]
