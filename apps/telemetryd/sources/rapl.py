"""cpu.rapl: energy and power of the processor, in all and per zone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchlab.daemon import Reading, Source
from benchlab.event import Scalar, Value
from benchlab.host.rapl import Power, Rapl, ZoneReading
from benchlab.host.rapl_meter import WINDOW_NS
from telemetryd.sources import KERNEL_LANE, Options

SLOWEST_S = 5.0
"""Longest time between two readings: the smallest counter wraps in half a minute at the most that is believed."""


class RaplSource:
    """The energy counters of the processor.

    They are true at the instant of reading, which is the stamp; power is the mean of the time up to it.
    """

    name = "cpu.rapl"
    lane = KERNEL_LANE
    stamping = "end"

    def __init__(self, now_ns: Callable[[], int], root: Path = Path("/"), period_s: float = 0.1) -> None:
        self.period_s = min(period_s, SLOWEST_S)
        self.window_ms = max(self.period_s * 1e3, WINDOW_NS / 1e6)
        self._rapl = Rapl(now_ns, root)

    def sample(self) -> list[Reading]:
        """Return one reading. Raises Absent without zones or without permission, Transient where joules were missed."""
        reading = self._rapl.read()
        kv: dict[str, Value] = {}
        for kind, total in reading.totals.items():
            kv.update(_measured(total, f"{kind}_w", f"{kind}_j"))
        kv["zones"] = [_row(zone) for zone in reading.zones]
        return [Reading(kv, ts_ns=reading.ts_ns, unc_ns=reading.unc_ns)]


def _row(reading: ZoneReading) -> dict[str, Scalar]:
    zone: dict[str, Scalar] = {"zone": reading.zone.name, "path": reading.zone.path, "counted": reading.counted}
    return {**zone, **_measured(reading.power, "power_w", "energy_j")}


def _measured(power: Power, watts: str, joules: str) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    if power.power_w is not None:
        found[watts] = round(power.power_w, 3)
    if power.energy_j is not None:
        found[joules] = round(power.energy_j, 6)
    return found


def sources(options: Options) -> list[Source]:
    """Return the counters, unless the configuration leaves them alone."""
    return [RaplSource(options.now_ns, options.root, options.period_s)] if options.enable_rapl else []
