"""edge.<device_type>: what a collector reads, for the log and for /metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from benchlab.daemon import Absent, Reading
from benchlab.event import Scalar
from edgepower.collectors import BaseCollector, Stamp
from edgepower.collectors.base import TOTAL, told
from edgepower.live import Device, Live

Found = Callable[[Iterable[str]], None]
"""Hears which metrics a device has; must not block."""


class EdgeSource:
    """One device. Everything it reads goes into the log, whatever of it /metrics shows.

    What it only repeats is no reading, unless it ``may_repeat``: then every sample has something to show.
    """

    def __init__(
        self, collector: BaseCollector, live: Live, found: Found, period_s: float, may_repeat: bool = False
    ) -> None:
        self.name = f"edge.{collector.device_type}"
        self.dev = collector.dev
        self.period_s = min(max(period_s, collector.min_period_s), collector.max_period_s)
        self.window_ms = collector.window_ms
        self._collector = collector
        self._live = live
        self._found = found
        self._may_repeat = may_repeat
        self._stamped_ns: int | None = None
        self._total_scope = ""
        self._device = live.begin(
            Device(collector.device_type, collector.dev, self.period_s, simulated=collector.is_simulated)
        )

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """What the device has told of itself, and what its total covers: ``total_scope``, once it has had one."""
        scope = {"total_scope": self._total_scope} if self._total_scope else {}
        return {**self._collector.identity, **scope}

    def sample(self) -> list[Reading]:
        """Return what the device reads now, nothing where it only repeats itself. Raises what the collector does."""
        try:
            values = self._collector.get_metrics()
        except Exception as error:
            self._live.failed(self._device, told(error), isinstance(error, Absent))
            raise
        stamp = self._collector.stamp
        if stamp is not None and stamp.ts_ns == self._stamped_ns and not self._may_repeat:
            return []
        self._stamped_ns = None if stamp is None else stamp.ts_ns
        self._live.answered(self._device, values, self._collector.absent, self._collector.scopes)
        self._total_scope = self._collector.scopes.get(TOTAL, self._total_scope)
        self._found(values)
        return [self._reading(values, stamp)] if values else []

    def close(self) -> None:
        """Let go of the device."""
        self._collector.close()

    def _reading(self, values: Mapping[str, float], stamp: Stamp | None) -> Reading:
        reading = Reading(dict(values), dev=self.dev, sim=self._collector.is_simulated)
        if stamp is not None:
            reading.ts_ns, reading.unc_ns = stamp.ts_ns, stamp.unc_ns
            reading.cal = None if stamp.rtt_ns is None else {"rtt_ns": stamp.rtt_ns}
        return reading
