"""From a sample to the JSON of the API: the names and units of its first kind, kept key by key.

What a machine does not tell is null at the top of /stats, and left out of an object: an object of which nothing is
known is ``{}``. Nothing is ever 0 for want of a reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pimon.snapshot import (
    FREQ_CAPPED,
    THROTTLED,
    UNDER_VOLTAGE,
    Disk,
    Filesystem,
    Hardware,
    Interface,
    Process,
    SystemSample,
)

Json = Any

FIELDS = (
    "cpu_temp",
    "cpu_freq",
    "cpu_usage",
    "per_cpu_usage",
    "memory",
    "swap",
    "disk",
    "disk_io",
    "uptime",
    "load_avg",
    "timestamp",
    "gpu",
    "power",
    "clocks",
    "network",
    "hardware",
)
"""The keys of /stats."""

_PI5_CORE_RAIL = "VDD_CORE"


def stats_of(system: SystemSample, hardware: Hardware, timestamp: float) -> dict[str, Json]:
    """Return what /stats answers. Temperatures in °C, frequencies in MHz, clocks in Hz, sizes in bytes, times in s."""
    loads = [system.load1, system.load5, system.load15]
    return {
        "cpu_temp": rounded(system.cpu_temp_c),
        "cpu_freq": rounded(system.cpu_freq_mhz),
        "cpu_usage": rounded(system.cpu_util_pct),
        "per_cpu_usage": [rounded(core.util_pct) for core in sorted(system.cores, key=lambda core: core.core)],
        "memory": _memory(system),
        "swap": _swap(system),
        "disk": next((usage(each) for each in system.filesystems if each.mountpoint == "/"), {}),
        "disk_io": io_of(system.disks),
        "uptime": system.uptime_s,
        "load_avg": None if None in loads else loads,
        "timestamp": timestamp,
        "gpu": _gpu(system),
        "power": _power(system),
        "clocks": {name: freq_hz for name, freq_hz in _clocks(system).items() if name in ("arm", "core", "sdram")},
        "network": _network(system),
        "hardware": _hardware(system, hardware),
    }


def usage(filesystem: Filesystem) -> dict[str, Json]:
    """Return how full a file system is, in bytes and in percent of what users may fill, as df shows it."""
    return {
        "total": filesystem.total_b,
        "used": filesystem.used_b,
        "free": filesystem.free_b,
        "percent": _percent(filesystem.used_b, filesystem.used_b + filesystem.free_b),
    }


def io_of(disks: Iterable[Disk]) -> dict[str, Json]:
    """Return what was read and written since boot, of all these disks together; ``{}`` where there is none."""
    found = list(disks)
    if not found:
        return {}
    return {
        "read_count": sum(disk.reads for disk in found),
        "write_count": sum(disk.writes for disk in found),
        "read_bytes": sum(disk.read_b for disk in found),
        "write_bytes": sum(disk.write_b for disk in found),
    }


def counters(interface: Interface) -> dict[str, Json]:
    """Return the counters of an interface since boot, and the signal of a wireless one in dBm."""
    return _known(
        bytes_sent=interface.tx_bytes,
        bytes_recv=interface.rx_bytes,
        packets_sent=interface.tx_packets,
        packets_recv=interface.rx_packets,
        errin=interface.rx_errors,
        errout=interface.tx_errors,
        dropin=interface.rx_dropped,
        dropout=interface.tx_dropped,
        signal_strength=None if interface.signal_dbm is None else round(interface.signal_dbm),
    )


def interfaces_of(system: SystemSample) -> dict[str, Json]:
    """Return the interfaces by name: their counters, and what they carry a second."""
    return {
        each.interface: {
            **counters(each),
            **_known(bytes_sent_per_s=rounded(each.tx_b_s), bytes_recv_per_s=rounded(each.rx_b_s)),
        }
        for each in system.interfaces
    }


def devices_of(system: SystemSample) -> list[dict[str, Json]]:
    """Return the file systems on disks and how full they are."""
    return [
        {"device": each.device, "mountpoint": each.mountpoint, "filesystem": each.kind, **usage(each)}
        for each in system.filesystems
    ]


def disks_of(system: SystemSample) -> dict[str, Json]:
    """Return the whole disks by name: what they read and wrote, in all and a second, and how busy they are."""
    return {
        disk.disk: {
            **io_of([disk]),
            **_known(
                read_bytes_per_s=rounded(disk.read_b_s),
                write_bytes_per_s=rounded(disk.write_b_s),
                busy_percent=rounded(disk.busy_pct),
            ),
        }
        for disk in system.disks
    }


def process_of(process: Process, timestamp: float) -> dict[str, Json]:
    """Return one process. Its command line is never in it: that may hold secrets."""
    return {
        "pid": process.pid,
        "name": process.name,
        "user": process.user,
        "cpu_percent": rounded(process.cpu_pct),
        "memory_percent": None if process.mem_pct is None else round(process.mem_pct, 2),
        "running_time": round(max(0.0, timestamp - process.start_time_s), 1),
    }


def rounded(value: float | None) -> float | None:
    """Return a reading to one decimal."""
    return None if value is None else round(value, 1)


def _memory(system: SystemSample) -> dict[str, Json]:
    total, available = system.mem_total_b, system.mem_available_b
    percent = _percent(total - available, total) if total is not None and available is not None else None
    return _known(total=total, available=available, used=system.mem_used_b, percent=percent)


def _swap(system: SystemSample) -> dict[str, Json]:
    total, used = system.swap_total_b, system.swap_used_b
    if total is None or used is None:
        return {}
    return {"total": total, "used": used, "free": total - used, "percent": _percent(used, total)}


def _clocks(system: SystemSample) -> dict[str, int]:
    return {clock.clock: clock.freq_hz for clock in system.clocks}


def _gpu(system: SystemSample) -> dict[str, Json]:
    v3d_hz = _clocks(system).get("v3d")
    return _known(temperature=rounded(system.gpu_temp_c), memory=system.gpu_mem_b, v3d_clock=v3d_hz)


def _power(system: SystemSample) -> dict[str, Json]:
    asked_for = [each.voltage_v for each in system.voltages if each.rail == "core"]
    measured = [each.voltage_v for each in system.rails if each.rail.upper().startswith(_PI5_CORE_RAIL)]
    flags = system.throttled_flags
    held = {} if flags is None else {name: bool(flags & bit) for name, bit in _BITS.items()}
    return {**_known(core_voltage=next(iter([*asked_for, *measured]), None)), **held}


_BITS = {"under_voltage": UNDER_VOLTAGE, "throttled": THROTTLED, "freq_capped": FREQ_CAPPED}


def _network(system: SystemSample) -> dict[str, Json]:
    return {
        **{each.interface: counters(each) for each in system.interfaces},
        **_known(active_connections=system.connections),
    }


def _hardware(system: SystemSample, hardware: Hardware) -> dict[str, Json]:
    return _known(
        model=hardware.model, serial=hardware.serial, firmware=hardware.firmware, usb_devices=system.usb_devices
    )


def _known(**values: Json) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None}


def _percent(part: int, whole: int) -> float:
    """Return a share in percent; of nothing, nothing is used."""
    return round(100 * part / whole, 1) if whole else 0.0
