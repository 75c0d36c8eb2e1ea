"""Signals of power meters on a serial port: BENCHLAB and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from benchlab.catalog.power_tree import BOARD, RAILS
from benchlab.catalog.signal import Labels, Signal

SOURCE = BOARD
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


def _rails() -> Iterator[Signal]:
    yield _rail(SOURCE, "v_sys", "sys", "V", "Voltage of the whole board")
    yield _rail(SOURCE, "i_sys", "sys", "A", "Current of the whole board")
    yield _rail(SOURCE, "p_sys", "sys", "W", "Power of the whole board, the sum of its inputs")
    for name, text in (("cpu", "CPU"), ("gpu", "GPU"), ("mb", "mainboard")):
        yield _rail(SOURCE, f"{name}_w", name, "W", f"Power of the {text} rails, summed")
    for rail in RAILS:
        yield _rail(SOURCE, f"{rail}_v", rail, "V", f"Voltage of {rail}")
        yield _rail(SOURCE, f"{rail}_a", rail, "A", f"Current of {rail}")
        yield _rail(SOURCE, f"{rail}_w", rail, "W", f"Power of {rail}")


def _gauge(key: str, unit: str, text: str, name: str, labels: Labels = (), family: str = "") -> Signal:
    return Signal(
        SOURCE,
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
    names = {f"vin{n}_v": (str(n), f"Voltage at measuring input {n}") for n in INPUTS}
    names["vdd_v"] = ("vdd", "Supply of the board's own processor")
    names["vref_v"] = ("vref", "Reference of the board's converter")
    for key, (name, text) in names.items():
        labels = (("input", name),)
        yield _gauge(key, "V", text, "input_volts", labels, "Voltage at an input that carries no current")


def signals() -> Iterator[Signal]:
    """Yield every signal of the boards."""
    yield from _rails()
    yield from _climate()
