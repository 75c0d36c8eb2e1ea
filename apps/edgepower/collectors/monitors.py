"""Power monitors that a driver of the kernel reads: INA chips on I2C, found in hwmon by the name of the driver."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from benchlab.daemon import Absent, Transient
from benchlab.host.hwmon import ChipReading, Hwmon

THREE_RAILS = ("ina3221",)
SINGLE = ("ina219", "ina226", "ina238", "ina260")


@dataclass(frozen=True)
class Monitor:
    """One rail of one chip: ``rail`` is the name that the board gives it, empty where it gives none."""

    chip: str
    rail: str
    voltage_v: float
    current_a: float
    power_w: float


class Monitors:
    """Reads the monitors of some drivers; ``why`` says why the last reading found none."""

    def __init__(self, root: Path, drivers: Collection[str]) -> None:
        self._hwmon = Hwmon(root)
        self._drivers = drivers
        self.why = ""

    def read(self) -> list[Monitor]:
        """Return what they measure now. A rail without a value at the moment is left out; never raises."""
        self.why = f"no {' or '.join(self._drivers)} in hwmon"
        try:
            chips = self._hwmon.read()
        except (Absent, Transient) as error:
            self.why = str(error)
            return []
        return [monitor for chip in chips if chip.name in self._drivers for monitor in _monitors(chip)]


def _monitors(chip: ChipReading) -> list[Monitor]:
    values = {sensor.name: sensor.value for sensor in chip.sensors}
    labels = {sensor.name: sensor.label for sensor in chip.sensors if sensor.label != sensor.name}
    found = []
    for number in (1, 2, 3) if chip.name in THREE_RAILS else (1,):
        voltage_v, current_a = values.get(f"in{number}"), values.get(f"curr{number}")
        if voltage_v is None or current_a is None:
            continue
        rail = next((labels[name] for kind in ("in", "curr", "power") if (name := f"{kind}{number}") in labels), "")
        power_w = values.get(f"power{number}")
        if power_w is None:  # an ina3221 leaves the product to us
            power_w = round(voltage_v * current_a, 6)
        found.append(Monitor(chip.name, rail, voltage_v, current_a, power_w))
    return found
