"""Signals of edge devices: those that every device shares, and each device's own, whose names its hardware decides."""

from __future__ import annotations

from collections.abc import Iterator

from benchlab.catalog.signal import Kind, Labels, Signal

ANY = "edge.*"
LATTEPANDA = "edge.lattepanda"

_BOARDS = {
    "jetson": "edge.jetson*",
    "raspberry_pi": "edge.raspberry_pi",
    "orange_pi": "edge.orange_pi",
    "lattepanda": LATTEPANDA,
}
"""Source of a device's own signals by the word that begins their keys."""

_RAIL = {
    "V": ("benchlab_rail_voltage_volts", "Voltage of a rail"),
    "A": ("benchlab_rail_current_amperes", "Current of a rail"),
    "W": ("benchlab_rail_power_watts", "Power of a rail, or of a sum of rails"),
}
_ENERGY = ("benchlab_edge_energy_joules_total", "Energy by a counter of the device")
_TEMPERATURE = ("benchlab_edge_temperature_celsius", "Temperature at a sensor of the device")
_SIZES = {
    "total": ("size", "Memory of this kind"),
    "used": ("used", "Memory of this kind in use"),
}


def _rail(source: str, key: str, rail: str, quantity: str, text: str, energy_key: str | None = None) -> Signal:
    name, family_help = _RAIL[quantity]
    labels = (("rail", rail),)
    return Signal(
        source, key, quantity, "gauge", text, name, labels=labels, energy_key=energy_key, family_help=family_help
    )


def _edge(
    source: str, key: str, unit: str, name: str, text: str, labels: Labels = (), kind: Kind = "gauge", family: str = ""
) -> Signal:
    return Signal(source, key, unit, kind, text, f"benchlab_edge_{name}", labels=labels, family_help=family or None)


def _energy(source: str, key: str, register: str, text: str) -> Signal:
    name, family_help = _ENERGY
    labels = (("register", register),)
    return Signal(source, key, "J", "counter", text, name, labels=labels, family_help=family_help)


def _temperature(source: str, key: str, sensor: str, text: str) -> Signal:
    name, family_help = _TEMPERATURE
    return Signal(source, key, "°C", "gauge", text, name, labels=(("sensor", sensor),), family_help=family_help)


def _shared() -> Iterator[Signal]:
    yield _rail(ANY, "power_total_watts", "total", "W", "Power of the device, as wide as it measures it")
    yield _rail(ANY, "power_gpu_watts", "total_gpu", "W", "Power of its GPU, or of the smallest part that holds it")
    yield _rail(ANY, "power_voltage_volts", "total", "V", "Voltage at the device's input")
    yield _rail(ANY, "power_current_amps", "total", "A", "Current at the device's input")
    yield _energy(ANY, "energy_total_joules", "drawn", "Energy that the device drew, by its own counter")
    yield _energy(ANY, "energy_returned_joules", "returned", "Energy that the device fed back, by its own counter")


def _board(prefix: str, source: str) -> Iterator[Signal]:
    """Yield what every board tells."""
    joules = f"{prefix}_energy_*_joules" if prefix == "lattepanda" else None
    yield _rail(source, f"{prefix}_power_*_watts", "*", "W", "Power of a rail of the board", joules)
    yield _temperature(source, f"{prefix}_temp_*_celsius", "*", "Temperature in a thermal zone")
    usage = "Share of time in which the processor was busy"
    yield _edge(source, f"{prefix}_cpu_avg_usage_percent", "%", "cpu_utilization_ratio", f"{usage}, mean of its cores")
    core = (("core", "*"),)
    yield _edge(source, f"{prefix}_cpu_core*_usage_percent", "%", "core_utilization_ratio", "Use of a core", core)
    for kind in ("ram", "swap"):
        yield from _memory(source, f"{prefix}_{kind}", kind, "mb", "MiB")
    engine = (("engine", "*"),)
    yield _edge(
        source, f"{prefix}_*_usage_percent", "%", "engine_utilization_ratio", "Use of a part of the chip", engine
    )
    yield _edge(source, f"{prefix}_*_freq_mhz", "MHz", "engine_frequency_hertz", "Clock of a part of the chip", engine)


def _memory(source: str, prefix: str, kind: str, ending: str, unit: str) -> Iterator[Signal]:
    labels = (("memory", kind),)
    for which, (name, text) in _SIZES.items():
        yield _edge(source, f"{prefix}_{which}_{ending}", unit, f"memory_{name}_bytes", text, labels)
    yield _edge(
        source, f"{prefix}_used_percent", "%", "memory_used_ratio", "Share of memory of this kind in use", labels
    )


def _jetson(source: str) -> Iterator[Signal]:
    core = (("core", "*"),)
    yield _edge(source, "jetson_cpu_core*_freq_mhz", "MHz", "core_frequency_hertz", "Clock of a core", core)
    yield from _memory(source, "jetson_iram", "iram", "kb", "KiB")
    for mode in ("fg", "bg"):
        key, text = f"jetson_mts_{mode}_percent", "Share of time of the processor's code translator"
        yield _edge(source, key, "%", "mts_ratio", text, (("mode", mode),))
    text = "Tokens of the last line of tegrastats that this version does not know"
    yield _edge(source, "jetson_tegrastats_unknown_tokens", "", "tegrastats_unknown_tokens", text)


def _raspberry_pi(source: str) -> Iterator[Signal]:
    pmic, estimate = "raspberry_pi_pmic_output_watts", "raspberry_pi_input_estimate_watts"
    yield _rail(source, pmic, "pmic_output", "W", "Power that the Pi 5's power chip delivers, less than the board's")
    yield _rail(source, estimate, "input_estimate", "W", "Estimate of the board's power from that, nothing measured")
    yield _rail(source, "raspberry_pi_voltage_*_volts", "*", "V", "Voltage at an input of the power chip")
    text = "Bit mask of the firmware: under-voltage, capped, throttled, hot; the same since its start from bit 16 on"
    yield _edge(source, "raspberry_pi_throttled_flags", "", "throttled_flags", text, kind="state")


def _orange_pi(source: str) -> Iterator[Signal]:
    yield _rail(source, "orange_pi_voltage_*_volts", "*", "V", "Voltage of an input or a battery")
    battery = (("battery", "*"),)
    yield _edge(source, "orange_pi_charge_*_percent", "%", "battery_charge_ratio", "Charge of a battery", battery)


def _lattepanda(source: str) -> Iterator[Signal]:
    # unlike a plug's, this counter is fine enough for the energy of a frame
    text = "Power of the processor package"
    yield _rail(source, "power_total_watts", "total", "W", text, "energy_total_joules")
    yield _energy(source, "energy_total_joules", "drawn", "Energy of the processor package")
    yield _energy(source, "lattepanda_energy_*_joules", "*", "Energy of a zone of the processor")


def _shelly(source: str) -> Iterator[Signal]:
    yield _rail(source, "shelly_channel*_power_watts", "channel*", "W", "Power at one meter of the device")
    yield _temperature(source, "shelly_temp_celsius", "device", "Temperature within the device")
    yield _edge(source, "shelly_power_factor_ratio", "", "power_factor_ratio", "Power factor of the load")
    yield _edge(source, "shelly_frequency_hertz", "Hz", "frequency_hertz", "Frequency of the mains")


def signals() -> Iterator[Signal]:
    """Yield every signal; of keys with a ``*`` the special ones come before the general."""
    yield from _shared()
    own = {"jetson": _jetson, "raspberry_pi": _raspberry_pi, "orange_pi": _orange_pi, "lattepanda": _lattepanda}
    for prefix, source in _BOARDS.items():
        yield from own[prefix](source)
        yield from _board(prefix, source)
    yield from _shelly("edge.shelly*")
