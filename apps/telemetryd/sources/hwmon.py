"""host.hwmon: temperatures, powers, voltages and currents of the host's chips, one event for each."""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon import Reading, Source
from benchlab.event import Scalar
from benchlab.host.hwmon import Hwmon, Sensor
from telemetryd.sources import Options

FASTEST_S = 1.0
"""Shortest time between two readings: many of these chips measure once a second, and some are slow to answer."""


class HwmonSource:
    """Every chip with a sensor; ``dev`` is its name and where it sits.

    Powers are shown and never summed: where in the machine a chip measures, no driver tells.
    """

    name = "host.hwmon"

    def __init__(self, root: Path = Path("/"), period_s: float = 0.1) -> None:
        self.period_s = max(period_s, FASTEST_S)
        self._hwmon = Hwmon(root)

    def sample(self) -> list[Reading]:
        """Return a reading for each chip that answered. Raises Absent if there is none, Transient if none answered."""
        return [
            Reading({"sensors": [_row(one) for one in chip.sensors]}, dev=chip.address) for chip in self._hwmon.read()
        ]


def _row(sensor: Sensor) -> dict[str, Scalar]:
    return {"sensor": sensor.name, "label": sensor.label, sensor.quantity: round(sensor.value, 3)}


def sources(options: Options) -> list[Source]:
    """Return the chips."""
    return [HwmonSource(options.root, options.period_s)]
