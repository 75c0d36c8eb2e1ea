"""Signals of power meters on a serial port: BENCHLAB and its relatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from benchlab.catalog.power_tree import BOARD, PMD, PMD_RAILS, RAILS
from benchlab.catalog.signal import Labels, Signal

SOURCE = BOARD
PMD_SOURCE = PMD
FANS = range(1, 10)
INPUTS = range(1, 14)

_QUANTITIES = {
    "V": ("voltage_volts", "Voltage of a rail"),
    "A": ("current_amperes", "Current of a rail"),
    "W": ("power_watts", "Power of a rail, or of a sum of rails"),
}


def _rail(source: str, key: str, rail: str, quantity: Literal["V", "A", "W"], text: str) -> Signal:
    name, family_help = _QUANTITIES[quantity]
    return Signal(
        source,
        key,
        quantity,
        "gauge",
        text,
        f"benchlab_rail_{name}",
        labels=(("rail", rail),),
        family_help=family_help,
    )


def _rails(source: str, rails: Iterable[str]) -> Iterator[Signal]:
    yield _rail(source, "v_sys", "sys", "V", "Voltage of the whole board")
    yield _rail(source, "i_sys", "sys", "A", "Current of the whole board")
    yield _rail(source, "p_sys", "sys", "W", "Power of the whole board, the sum of its inputs")
    for name, text in (("cpu", "CPU"), ("gpu", "GPU"), ("mb", "mainboard")):
        yield _rail(source, f"{name}_w", name, "W", f"Power of the {text} rails, summed")
    for rail in rails:
        yield _rail(source, f"{rail}_v", rail, "V", f"Voltage of {rail}")
        yield _rail(source, f"{rail}_a", rail, "A", f"Current of {rail}")
        yield _rail(source, f"{rail}_w", rail, "W", f"Power of {rail}")


def _gauge(
    key: str, unit: str, text: str, name: str, labels: Labels = (), family: str = "", source: str = SOURCE
) -> Signal:
    return Signal(
        source,
        key,
        unit,
        "gauge",
        text,
        f"benchlab_board_{name}",
        labels=labels,
        family_help=family or None,
    )


def _temperatures() -> Iterator[Signal]:
    sensors = {"temp_c": ("ambient", "Temperature of the air at the board")}
    sensors["chip_c"] = ("chip", "Temperature of the board's own processor")
    for n in range(1, 5):
        sensors[f"ts{n}_c"] = (f"ts{n}", f"Temperature at sensor {n}")
    for place in ("hpwr1_in", "hpwr1_out", "hpwr2_in", "hpwr2_out"):
        sensors[f"{place}_c"] = (place, f"Temperature at {place}")
    for key, (sensor, text) in sensors.items():
        labels = (("sensor", sensor),)
        yield _gauge(key, "°C", text, "temperature_celsius", labels, "Temperature at a sensor of the board")


def _climate() -> Iterator[Signal]:
    yield from _temperatures()
    yield _gauge("humidity_pct", "%", "Relative humidity of the air at the board", "humidity_ratio")
    for n in FANS:
        fan = (("fan", str(n)),)
        yield _gauge(f"fan{n}_rpm", "rpm", f"Speed of fan {n}", "fan_rpm", fan, "Speed of a fan")
        yield _gauge(f"fan{n}_pct", "%", f"Duty of fan {n}", "fan_duty_ratio", fan, "Duty of a fan")
    external = (("fan", "external"),)
    yield _gauge("fan_ext_pct", "%", "Duty that the mainboard asks for", "fan_duty_ratio", external, "Duty of a fan")
    for n in INPUTS:
        yield _input(f"vin{n}_v", str(n), f"Voltage at measuring input {n}")
    yield _input("vref_v", "vref", "Reference of the board's converter")


def _input(key: str, name: str, text: str, source: str = SOURCE) -> Signal:
    family = "Voltage at an input that carries no current"
    return _gauge(key, "V", text, "input_volts", (("input", name),), family, source)


def _words() -> Iterator[Signal]:
    texts = {
        "fan_switch": "Where the fan switch stands: auto, half or full",
        "rgb_switch": "Where the light switch stands: work or play",
        "faults": "Faults that the board sees now, by the maker's names",
        "faults_latched": "Faults that the board has seen and keeps in mind",
    }
    for key, text in texts.items():
        yield Signal(SOURCE, key, "", "info", text, influx="string")
    yield Signal(SOURCE, "rgb_ext", "", "info", "Whether external lights are connected", influx="boolean")


def _of_any_meter(source: str) -> Iterator[Signal]:
    """Yield what every power meter may say."""
    yield _input("vdd_v", "vdd", "Supply of the board's own processor", source)
    text = "Readings that the device gave and that cannot be right, or contradict others"
    yield Signal(source, "suspect", "", "info", text, influx="string")
    text = "All that a device of unknown firmware sent, not interpreted"
    yield Signal(source, "raw_hex", "", "info", text, influx="string")


def signals() -> Iterator[Signal]:
    """Yield every signal of the boards."""
    yield from _rails(SOURCE, RAILS)
    yield from _climate()
    yield from _words()
    yield from _of_any_meter(SOURCE)
    yield from _rails(PMD_SOURCE, PMD_RAILS)
    yield from _of_any_meter(PMD_SOURCE)
