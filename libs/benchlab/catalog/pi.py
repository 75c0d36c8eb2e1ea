"""Signals of a small host as pimon records it: the machine, its battery, its busiest processes."""

from __future__ import annotations

from collections.abc import Iterator

from benchlab.catalog.signal import InfluxType, Row, Signal, numbers

SYSTEM = "pi.system"
BATTERY = "pi.battery"
PROCESSES = "pi.processes"

_SYSTEM = (
    ("cpu_temp_c", "°C", "cpu_temperature_celsius", "Temperature of the processor"),
    ("cpu_freq_mhz", "MHz", "cpu_frequency_hertz", "Clock, mean over the cores"),
    ("cpu_util_pct", "%", "cpu_utilization_ratio", "Share of time all cores were busy since the sample before"),
    ("cores.util_pct", "%", "core_utilization_ratio", "Share of time the core was busy since the sample before"),
    ("cores.freq_mhz", "MHz", "core_frequency_hertz", "Clock of the core"),
    ("load1", "", "load1", "Load average over 1 minute"),
    ("load5", "", "load5", "Load average over 5 minutes"),
    ("load15", "", "load15", "Load average over 15 minutes"),
    ("disks.read_b_s", "B/s", "disk_read_bytes_per_second", "Bytes read a second"),
    ("disks.write_b_s", "B/s", "disk_written_bytes_per_second", "Bytes written a second"),
    ("disks.busy_pct", "%", "disk_busy_ratio", "Share of time the disk had a request in hand"),
    ("gpu_temp_c", "°C", "gpu_temperature_celsius", "Temperature of the graphics part; a Pi has one sensor for both"),
    ("voltages.voltage_v", "V", "voltage_volts", "Voltage that the firmware asks for"),
    ("rails.voltage_v", "V", "rail_voltage_volts", "Voltage of a rail of the power chip"),
    ("rails.current_a", "A", "rail_current_amperes", "Current of a rail of the power chip"),
    ("rails.power_w", "W", "rail_power_watts", "Power of a rail of the power chip"),
    ("pmic_output_w", "W", "pmic_output_power_watts", "Power that the power chip delivers, less than the board's"),
    ("interfaces.rx_b_s", "B/s", "network_receive_bytes_per_second", "Bytes the interface receives a second"),
    ("interfaces.tx_b_s", "B/s", "network_transmit_bytes_per_second", "Bytes the interface sends a second"),
    ("interfaces.signal_dbm", "dBm", "wifi_signal_dbm", "How well a radio hears its partner"),
    ("brightness_pct", "%", "backlight_ratio", "Brightness of the first screen with a backlight"),
    ("uptime_s", "s", "uptime_seconds", "Time since the start"),
    ("boot_time_s", "s", "boot_time_seconds", "When the machine was started, seconds since 1970"),
)
_SYSTEM_WHOLE = (
    ("mem_total_b", "B", "memory_installed_bytes", "Memory the kernel manages"),
    ("mem_available_b", "B", "memory_available_bytes", "Memory programs can still get without swapping"),
    ("mem_used_b", "B", "memory_used_bytes", "Memory in use: total less available"),
    ("mem_free_b", "B", "memory_free_bytes", "Memory that holds nothing, not even cache"),
    ("swap_total_b", "B", "swap_size_bytes", "Swap space"),
    ("swap_used_b", "B", "swap_used_bytes", "Swap space in use"),
    ("filesystems.total_b", "B", "filesystem_size_bytes", "Size of the file system"),
    ("filesystems.used_b", "B", "filesystem_used_bytes", "What is in use of it"),
    ("filesystems.free_b", "B", "filesystem_free_bytes", "What users may still write"),
    ("gpu_mem_b", "B", "gpu_memory_bytes", "Memory that the firmware keeps for the graphics part"),
    ("arm_mem_b", "B", "arm_memory_bytes", "Memory that the firmware leaves to the processor"),
    ("clocks.freq_hz", "Hz", "clock_hertz", "Clock as the firmware measures it"),
    ("connections", "", "tcp_sockets", "TCP sockets in use"),
    ("usb_devices", "", "usb_devices", "USB devices, root hubs included"),
)
_SYSTEM_COUNTS = (
    ("disks.reads", "", "disk_reads_total", "Read requests completed"),
    ("disks.writes", "", "disk_writes_total", "Write requests completed"),
    ("disks.read_b", "B", "disk_read_bytes_total", "Bytes read"),
    ("disks.write_b", "B", "disk_written_bytes_total", "Bytes written"),
    ("interfaces.rx_bytes", "B", "network_receive_bytes_total", "Bytes the interface received"),
    ("interfaces.tx_bytes", "B", "network_transmit_bytes_total", "Bytes the interface sent"),
    ("interfaces.rx_packets", "", "network_receive_packets_total", "Packets the interface received"),
    ("interfaces.tx_packets", "", "network_transmit_packets_total", "Packets the interface sent"),
    ("interfaces.rx_errors", "", "network_receive_errors_total", "Errors the interface counted when receiving"),
    ("interfaces.tx_errors", "", "network_transmit_errors_total", "Errors the interface counted when sending"),
    ("interfaces.rx_dropped", "", "network_receive_drops_total", "Received packets the interface dropped"),
    ("interfaces.tx_dropped", "", "network_transmit_drops_total", "Packets to send the interface dropped"),
)
_WHICH = {
    "cores.core": ("integer", "Number of the core"),
    "filesystems.mountpoint": ("string", "Where it is mounted"),
    "filesystems.device": ("string", "What it is on"),
    "filesystems.kind": ("string", "Kind of file system"),
    "disks.disk": ("string", "Name of the disk"),
    "clocks.clock": ("string", "Which clock: arm, core, v3d or sdram"),
    "voltages.rail": ("string", "Which voltage: core, sdram_c, sdram_i or sdram_p"),
    "rails.rail": ("string", "Name of the rail"),
    "interfaces.interface": ("string", "Name of the interface"),
}
_TABLES = {
    "cores": "One row per core that is online",
    "filesystems": "One row per file system on a disk",
    "disks": "One row per whole disk",
    "clocks": "One row per clock that runs",
    "voltages": "One row per voltage that the firmware asks for",
    "rails": "One row per rail of the power chip of a Pi 5",
    "interfaces": "One row per network interface that has carried something",
}
_BATTERY = (
    ("voltage_v", "V", "voltage_volts", "Voltage of the battery"),
    ("current_a", "A", "current_amperes", "Current into the battery; negative while it is discharged"),
    ("power_w", "W", "power_watts", "Power into the battery; negative while it is discharged"),
    ("capacity_pct", "%", "charge_ratio", "Charge of the battery"),
)
_RAW = (
    ("current_raw_a", "A", "driver_current_amperes", "Current with the sign that the driver gives"),
    ("power_raw_w", "W", "driver_power_watts", "Power with the sign that the driver gives"),
    ("energy_wh", "Wh", "energy_joules", "Energy that is in the battery"),
    ("charge_ah", "Ah", "charge_coulombs", "Charge that is in the battery"),
)
_WHY = "What could not be read, and what was found there"


def _info(source: str, key: str, text: str, influx: InfluxType = "string") -> Signal:
    return Signal(source, key, "", "info", text, influx=influx)


def _system() -> Iterator[Signal]:
    for table, text in _TABLES.items():
        yield Signal(SYSTEM, table, "", "table", text)
    for key, (influx, text) in _WHICH.items():
        yield _info(SYSTEM, key, text, "integer" if influx == "integer" else "string")
    yield from numbers(SYSTEM, "gauge", "benchlab_pi_", _SYSTEM)
    yield from numbers(SYSTEM, "gauge", "benchlab_pi_", _SYSTEM_WHOLE, "integer")
    yield from numbers(SYSTEM, "counter", "benchlab_pi_", _SYSTEM_COUNTS, "integer")
    text = "Bit mask of the firmware: under-voltage, capped, throttled, hot; the same since its start from bit 16 on"
    yield Signal(SYSTEM, "throttled_flags", "", "state", text, "benchlab_pi_throttled_flags", "integer")
    yield _info(SYSTEM, "governor", "What governs the clock of the first core")
    yield _info(SYSTEM, "why", _WHY)


def _battery() -> Iterator[Signal]:
    yield _info(BATTERY, "status", "What the battery does: Charging, Discharging, Full, Not charging")
    yield _info(BATTERY, "why", _WHY)
    yield from numbers(BATTERY, "gauge", "benchlab_pi_battery_", _BATTERY)
    yield Signal(BATTERY, "batteries", "", "table", "One row per battery")
    yield _info(BATTERY, "batteries.battery", "Name of the battery, or the meter in its line")
    yield Signal(BATTERY, "batteries.status", "", "state", "What this battery does", influx="string")
    rows: tuple[Row, ...] = (*_BATTERY, *_RAW)
    each = ((f"batteries.{key}", unit, name, f"{text}, one by one") for key, unit, name, text in rows)
    yield from numbers(BATTERY, "gauge", "benchlab_pi_batteries_", each)


def _processes() -> Iterator[Signal]:
    yield Signal(PROCESSES, "processes", "", "table", "One row per process, the busiest first")
    yield _info(PROCESSES, "processes.pid", "Number of the process", "integer")
    yield _info(PROCESSES, "processes.name", "Name of its program")
    yield Signal(PROCESSES, "processes.start_time_s", "s", "state", "When it was started, seconds since 1970")
    yield Signal(
        PROCESSES, "processes.cpu_pct", "%", "gauge", "Use of one core since the sample before, up to 100 a core"
    )
    yield Signal(PROCESSES, "processes.mem_pct", "%", "gauge", "Share of the memory")
    yield Signal(
        PROCESSES, "processes.command_line", "", "state", "Its command line, if it was asked for", influx="string"
    )


def signals() -> Iterator[Signal]:
    """Yield every signal of pimon."""
    yield from _system()
    yield from _battery()
    yield from _processes()
