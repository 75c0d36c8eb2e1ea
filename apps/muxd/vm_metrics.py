"""What /metrics says of virtual machines beside their readings: who they are, how they are, what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from benchlab.catalog import SIGNALS
from benchlab.event import Event
from muxd.rows import VM_ENERGY, SignalRow

_POWER = next(signal for signal in SIGNALS if (signal.source, signal.key) == (VM_ENERGY, "power_w"))

MAX_VMS = 2000
"""Of most so many VMs energy is counted; who is gone makes room."""


class VmMetrics:
    """The energy of each VM since this program began, and its power over its last interval."""

    def __init__(self) -> None:
        self._energy_j: dict[str, float] = {}
        self._power_w: dict[str, float] = {}
        self._rest_w: float | None = None

    def take(self, rows: Iterable[SignalRow]) -> None:
        """Take in rows that were decided; a reason for having no energy ends the power that was shown."""
        for row in rows:
            if row.source != VM_ENERGY:
                continue
            power_w = row.kv.get("power_w")
            if row.dev is None:
                self._rest_w = power_w
            elif power_w is None:
                self._power_w.pop(row.dev, None)
            elif row.dev in self._energy_j or len(self._energy_j) < MAX_VMS:
                self._power_w[row.dev] = power_w
                self._energy_j[row.dev] = self._energy_j.get(row.dev, 0.0) + max(0.0, row.kv["energy_j"])

    def families(self, vms: Mapping[str, Event]) -> Iterator[Metric]:
        """Yield the families of the VMs that are there; what is known of others is forgotten."""
        for gone in self._energy_j.keys() - vms.keys():
            del self._energy_j[gone]
            self._power_w.pop(gone, None)
        yield from who_and_how(vms)
        energy = CounterMetricFamily(
            "benchlab_vm_energy_joules",
            "Energy of the packages by the processor time of a VM, since this program began",
            labels=["uuid"],
        )
        power = GaugeMetricFamily(_POWER.prometheus or "", _POWER.help, labels=["uuid"])
        for uuid, energy_j in sorted(self._energy_j.items()):
            energy.add_metric([uuid], energy_j)
        for uuid, power_w in sorted(self._power_w.items()):
            power.add_metric([uuid], power_w)
        yield from (energy, power)
        rest = GaugeMetricFamily("benchlab_vm_rest_power_watts", "Power of the packages that no VM accounts for")
        if vms and self._rest_w is not None:
            rest.add_metric([], self._rest_w)
        yield rest


def who_and_how(vms: Mapping[str, Event]) -> Iterator[Metric]:
    """Yield name and state of each VM."""
    info = GaugeMetricFamily("benchlab_vm_info", "The name of a VM", labels=["uuid", "name"])
    state = GaugeMetricFamily("benchlab_vm_state", "1 for the state that a VM is in", labels=["uuid", "state"])
    for uuid, event in sorted(vms.items()):
        for family, key in ((info, "name"), (state, "state")):
            if isinstance(said := event.kv.get(key), str):
                family.add_metric([uuid, said], 1)
    yield from (info, state)
