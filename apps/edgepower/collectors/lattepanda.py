"""lattepanda: the processor package's energy counters (RAPL), temperatures and loads.

The package is the processor with its graphics: memory, storage, USB and fan are outside, and so are the losses of the
supply. The total is of that scope and says so; what the board takes in, only a meter in its supply can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchlab.host.rapl import Power, Rapl
from edgepower.collectors.base import ENERGY, GPU, TOTAL, BaseCollector, Options, Scope, Stamp
from edgepower.collectors.host_metrics import HostMetrics

MAX_PERIOD_S = 5.0
"""The smallest counter wraps within half a minute at the most that is believed."""

_SCOPES: dict[str, Scope] = {"package": "package", "core": "rail", "uncore": "gpu", "dram": "rail", "psys": "platform"}


class LattePandaCollector(BaseCollector):
    """One LattePanda, or any board with an Intel processor. Power needs two readings: the first has energies only."""

    device_type = "lattepanda"
    max_period_s = MAX_PERIOD_S

    def __init__(self, options: Options) -> None:
        self.dev = options.name
        self.scopes: dict[str, Scope] = {}
        self.absent: dict[str, str] = {}
        self.window_ms = min(options.period_s, MAX_PERIOD_S) * 1e3
        self._rapl = Rapl(options.now_ns, options.root)
        self._host = HostMetrics("lattepanda", options.root)

    def get_metrics(self) -> dict[str, float]:
        """Return powers, energies and the rest. Raises Absent without counters or the right to read them; Transient."""
        self.scopes, self.absent = {}, {}
        reading = self._rapl.read()
        self.stamp = Stamp(reading.ts_ns, reading.unc_ns)
        found: dict[str, float] = {}
        for zone, power in reading.totals.items():
            self._add(found, zone, power)
        for zone, (watts, joules) in {"package": (TOTAL, ENERGY), "uncore": (GPU, "")}.items():
            self._add_as(found, zone, watts, joules)
        return {**self._host.read(), **found}

    def _add(self, found: dict[str, float], zone: str, power: Power) -> None:
        if power.power_w is not None:
            key = f"lattepanda_power_{zone}_watts"
            found[key] = round(power.power_w, 6)
            self.scopes[key] = _SCOPES.get(zone, "rail")
        if power.energy_j is not None:
            found[f"lattepanda_energy_{zone}_joules"] = round(power.energy_j, 6)

    def _add_as(self, found: dict[str, float], zone: str, watts: str, joules: str) -> None:
        power, energy = f"lattepanda_power_{zone}_watts", f"lattepanda_energy_{zone}_joules"
        if power in found:
            found[watts], self.scopes[watts] = found[power], _SCOPES[zone]
        else:
            why = f"the counter of {zone} has told no power yet"
            self.absent[watts] = why if energy in found else f"no zone {zone}"
        if joules and energy in found:
            found[joules] = found[energy]


def collectors(device_type: str, config: Mapping[str, Any], options: Options) -> list[BaseCollector]:
    """Return the board's collector."""
    return [LattePandaCollector(options)]
