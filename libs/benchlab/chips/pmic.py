"""The power chip of a Raspberry Pi 5, 500 or CM5, as ``vcgencmd pmic_read_adc`` prints it.

The numbers of a rail's current and voltage do not agree: rails are paired by name. The sum of all rails is what the
chip delivers, less than what the board takes in: the losses of its converters, USB, HATs, fan and PCIe are outside.
Source: Raspberry Pi's documentation of vcgencmd, and listings of owners.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EXTERNAL_5V = "EXT5V"
BATTERY = "BATT"

_LINE = re.compile(
    r"^\s*(\w+)_(A|V)\s+(?:current|volt)\(\d+\)=(-?\d{1,6}(?:\.\d{1,12})?)(A|V)\s*$", re.MULTILINE | re.ASCII
)

ESTIMATE_SLOPE, ESTIMATE_OFFSET_W = 1.1451, 0.5879
"""One owner's fit of the board's input to the chip's output: an estimate for that board and that day."""


@dataclass(frozen=True)
class PmicReading:
    """Volts and amperes by rail. ``output_w`` is the sum over the rails of which both are known."""

    volts: dict[str, float]
    amperes: dict[str, float]

    @property
    def powers_w(self) -> dict[str, float]:
        """Power by rail in watts."""
        return {rail: self.volts[rail] * amperes for rail, amperes in self.amperes.items() if rail in self.volts}

    @property
    def output_w(self) -> float | None:
        """What the chip delivers in watts, None where a rail's voltage or current is missing."""
        lone = self.amperes.keys() ^ (self.volts.keys() - {EXTERNAL_5V, BATTERY})
        return None if lone or not self.amperes else sum(self.powers_w.values())


def parse(text: str) -> PmicReading:
    """Return what a listing says; lines that are none of its own are left out. Raises ValueError if all are."""
    values: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for rail, quantity, number, unit in _LINE.findall(text):
        if unit == quantity:
            values[quantity][rail] = float(number)
    if not values["A"] and not values["V"]:
        raise ValueError(f"found {text[:120]!r}, expected lines such as 'VDD_CORE_A current(7)=2.5A'")
    return PmicReading(values["V"], values["A"])


def estimated_input_w(output_w: float) -> float:
    """Return what the board may take in when the chip delivers this much: an estimate, nothing measured."""
    return ESTIMATE_SLOPE * output_w + ESTIMATE_OFFSET_W
