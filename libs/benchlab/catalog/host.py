"""Signals of a Linux host: processor, memory, network, disks, the processor's energy counters, sensors."""

from __future__ import annotations

from collections.abc import Iterator

from benchlab.catalog.signal import Signal, numbers

CPU = "cpu.psutil"
MEMORY = "mem.psutil"
NIC = "nic.psutil"
DISK = "disk.psutil"
RAPL = "cpu.rapl"
HWMON = "host.hwmon"

_CPU = (
    ("cpu_util", "%", "utilization_ratio", "Share of time all cores were busy since the sample before"),
    ("freq_mhz", "MHz", "frequency_hertz", "Clock, mean over the cores"),
    ("load1", "", "load1", "Load average over 1 minute"),
    ("load5", "", "load5", "Load average over 5 minutes"),
    ("load15", "", "load15", "Load average over 15 minutes"),
    ("ctx_switches_s", "1/s", "context_switches_per_second", "Context switches a second"),
    ("cores.util", "%", "core_utilization_ratio", "Share of time the core was busy since the sample before"),
    ("cores.freq_mhz", "MHz", "core_frequency_hertz", "Clock of the core"),
)
_MEMORY = (
    ("mem_total", "B", "installed_bytes", "Memory the kernel manages"),
    ("mem_available", "B", "available_bytes", "Memory programs can still get without swapping"),
    ("mem_used", "B", "used_bytes", "Memory in use: total less available"),
    ("mem_free", "B", "free_bytes", "Memory that holds nothing, not even cache"),
    ("mem_cached", "B", "cached_bytes", "Page cache and reclaimable kernel memory"),
    ("swap_total", "B", "swap_size_bytes", "Swap space"),
    ("swap_used", "B", "swap_used_bytes", "Swap space in use"),
)
_NIC_RATES = (
    ("rx_bytes_s", "B/s", "receive_bytes_per_second", "Bytes the interface receives a second"),
    ("tx_bytes_s", "B/s", "transmit_bytes_per_second", "Bytes the interface sends a second"),
    ("rx_packets_s", "1/s", "receive_packets_per_second", "Packets the interface receives a second"),
    ("tx_packets_s", "1/s", "transmit_packets_per_second", "Packets the interface sends a second"),
)
_NIC_COUNTS = (
    ("rx_bytes", "B", "receive_bytes_total", "Bytes the interface received"),
    ("tx_bytes", "B", "transmit_bytes_total", "Bytes the interface sent"),
    ("rx_errors", "", "receive_errors_total", "Errors the interface counted when receiving"),
    ("tx_errors", "", "transmit_errors_total", "Errors the interface counted when sending"),
    ("rx_dropped", "", "receive_drops_total", "Received packets the interface dropped"),
    ("tx_dropped", "", "transmit_drops_total", "Packets to send the interface dropped"),
)
_DISK = (
    ("read_bytes_s", "B/s", "read_bytes_per_second", "Bytes read a second"),
    ("write_bytes_s", "B/s", "written_bytes_per_second", "Bytes written a second"),
    ("reads_s", "1/s", "reads_per_second", "Read requests completed a second"),
    ("writes_s", "1/s", "writes_per_second", "Write requests completed a second"),
    ("read_wait_ms", "ms", "read_wait_seconds", "Mean time of a read request; absent without one"),
    ("write_wait_ms", "ms", "write_wait_seconds", "Mean time of a write request; absent without one"),
    ("busy", "%", "busy_ratio", "Share of time the disk had a request in hand"),
)
_DISK_COUNTS = (
    ("read_bytes", "B", "read_bytes_total", "Bytes read"),
    ("write_bytes", "B", "written_bytes_total", "Bytes written"),
)
_ZONES = (
    ("package", "all processor packages"),
    ("core", "the cores, a part of package"),
    ("uncore", "the graphics part of package"),
    ("dram", "the memory, where it is no part of package"),
    ("psys", "the platform, which contains package"),
)
_SENSORS = (
    ("sensors.temp_c", "°C", "temperature_celsius", "Temperature at a sensor of the host"),
    ("sensors.power_w", "W", "power_watts", "Power at a sensor of the host; no part of any sum"),
    ("sensors.voltage_v", "V", "voltage_volts", "Voltage at a sensor of the host"),
    ("sensors.current_a", "A", "current_amperes", "Current at a sensor of the host"),
)


def _rapl() -> Iterator[Signal]:
    for zone, text in _ZONES:
        family = f"benchlab_cpu_{zone}"
        joules = f"{zone}_j"
        yield Signal(RAPL, f"{zone}_w", "W", "gauge", f"Power of {text}", f"{family}_power_watts", energy_key=joules)
        yield Signal(RAPL, joules, "J", "counter", f"Energy of {text}", f"{family}_energy_joules_total")
    yield Signal(RAPL, "zones", "", "table", "One row per zone of the powercap tree")
    yield Signal(RAPL, "zones.zone", "", "info", "Name of the zone", influx="string")
    yield Signal(RAPL, "zones.path", "", "info", "Place of the zone in the tree", influx="string")
    family, joules = "benchlab_cpu_zone", "zones.energy_j"
    yield Signal(RAPL, "zones.power_w", "W", "gauge", "Power of the zone", f"{family}_power_watts", energy_key=joules)
    yield Signal(RAPL, joules, "J", "counter", "Energy of the zone", f"{family}_energy_joules_total")
    text = "Whether the zone is in the sum of its kind; not, where it mirrors another"
    yield Signal(RAPL, "zones.counted", "", "state", text, influx="boolean")


def _hwmon() -> Iterator[Signal]:
    yield Signal(HWMON, "sensors", "", "table", "One row per sensor of the chip that answered")
    yield Signal(HWMON, "sensors.sensor", "", "info", "Which sensor of the chip, by the kernel's name", influx="string")
    yield Signal(HWMON, "sensors.label", "", "info", "What the driver calls it", influx="string")
    yield from numbers(HWMON, "gauge", "benchlab_hwmon_", _SENSORS)


def signals() -> Iterator[Signal]:
    """Yield every signal of a host."""
    yield from numbers(CPU, "gauge", "benchlab_cpu_", _CPU)
    yield Signal(CPU, "cores", "", "table", "One row per core that is online")
    yield Signal(CPU, "cores.core", "", "info", "Number of the core", influx="integer")
    yield from numbers(MEMORY, "gauge", "benchlab_memory_", _MEMORY, "integer")
    yield from numbers(MEMORY, "gauge", "benchlab_memory_", [("mem_util", "%", "used_ratio", "Share of memory in use")])
    yield from numbers(NIC, "gauge", "benchlab_network_", _NIC_RATES)
    yield from numbers(NIC, "counter", "benchlab_network_", _NIC_COUNTS, "integer")
    yield from numbers(DISK, "gauge", "benchlab_disk_", _DISK)
    yield from numbers(DISK, "counter", "benchlab_disk_", _DISK_COUNTS, "integer")
    in_flight = ("in_flight", "", "requests_in_flight", "Requests in hand at the moment")
    yield from numbers(DISK, "gauge", "benchlab_disk_", [in_flight], "integer")
    yield from _rapl()
    yield from _hwmon()
