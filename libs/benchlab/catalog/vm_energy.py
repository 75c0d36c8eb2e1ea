"""Signals of what virtual machines cost, which muxd computes (docs/FORMAT.md)."""

from __future__ import annotations

from collections.abc import Iterator

from benchlab.catalog.signal import Signal

SOURCE = "metric.vm_energy"

_NUMBERS = (
    ("energy_j", "J", "Energy of the packages by the processor time of the VM, over the interval"),
    ("share_pct", "%", "Share of the energy of all packages"),
    ("cpu_s", "s", "Processor time of the VM in the interval"),
    ("host_cpu_s", "s", "Processor time of the whole host in the interval"),
    ("idle_pct", "%", "Share of the host's processor time that was idle"),
    ("interval_s", "s", "Length of the interval"),
    ("package_j", "J", "Energy of all packages; in a row of the rest"),
)


def signals() -> Iterator[Signal]:
    """Yield every key of a row."""
    text = "Energy of the packages by the processor time of a VM, over its length, in watts"
    yield Signal(SOURCE, "power_w", "W", "gauge", text, "benchlab_vm_power_watts", dev_label="uuid")
    for key, unit, text in _NUMBERS:
        yield Signal(SOURCE, key, unit, "gauge", text)
    yield Signal(SOURCE, "vms", "", "gauge", "VMs that were given energy; in a row of the rest", influx="integer")
    yield Signal(SOURCE, "energy_why", "", "info", "Why there is no energy", influx="string")
