"""INA260: current, voltage and power through its own shunt, over I2C.

Registers are 16 bits, the high byte first. An SMBus word has the low byte first, which turns 5 V into 51.2 V without
an error; so registers are read as blocks of two bytes. Source: Texas Instruments, INA260 data sheet (SBOS656).
"""

from __future__ import annotations

from typing import NamedTuple

from benchlab.chips.i2c import Bus, signed, unanswered
from benchlab.daemon.source import Absent

ADDRESS = 0x40
ADDRESSES = range(0x40, 0x50)
"""Where an INA260 can be, by its pins A0 and A1."""

CONFIGURATION, CURRENT, VOLTAGE, POWER = 0x00, 0x01, 0x02, 0x03
MANUFACTURER_ID, DIE_ID = 0xFE, 0xFF
TEXAS_INSTRUMENTS, INA260 = 0x5449, 0x2270

AMPERES_PER_BIT = 1.25e-3
VOLTS_PER_BIT = 1.25e-3
WATTS_PER_BIT = 10e-3

_RELATIVES = {0x2260: "an INA226"}
_REVISION = 0x000F
_CONVERSIONS_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)
_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)


class Measurement(NamedTuple):
    """One reading: volts, amperes (negative the other way round) and their product in watts.

    ``magnitude_w`` is the chip's own power, in steps of 10 mW and without a sign.
    """

    voltage_v: float
    current_a: float
    power_w: float
    magnitude_w: float


class Ina260:
    """The chip at an address, which is chosen by ``setting``.

    It is asked who it is before anything else, and again after it has been gone.
    """

    def __init__(self, bus: Bus, address: int = ADDRESS, setting: str = "ina260.address") -> None:
        self._bus = bus
        self._address = address
        self._setting = setting
        self._is_known = False
        self.window_ms: float | None = None

    def read(self) -> Measurement:
        """Return what it measures now.

        Raises Absent: nobody at the address, another chip, a driver of the kernel in the way; else Transient.
        """
        if not self._is_known:
            self._identify()
            self._is_known = True
        current_a = signed(self._register(CURRENT)) * AMPERES_PER_BIT
        voltage_v = self._register(VOLTAGE) * VOLTS_PER_BIT
        magnitude_w = self._register(POWER) * WATTS_PER_BIT
        return Measurement(voltage_v, current_a, voltage_v * current_a, magnitude_w)

    def _identify(self) -> None:
        maker, die = self._register(MANUFACTURER_ID), self._register(DIE_ID)
        if maker != TEXAS_INSTRUMENTS or die & ~_REVISION != INA260:
            is_swapped = _swapped(maker) == TEXAS_INSTRUMENTS
            what = "bytes in the wrong order" if is_swapped else _RELATIVES.get(die, "another chip")
            found = f"{what} (maker 0x{maker:04x}, die 0x{die:04x})"
            wanted = f"an INA260 (0x{TEXAS_INSTRUMENTS:04x}, 0x{INA260:04x})"
            raise Absent(f"I2C address 0x{self._address:02x}: found {found}, expected {wanted}", f"set {self._setting}")
        configuration = self._register(CONFIGURATION)
        self.window_ms = averaging_us(configuration) / 1e3

    def _register(self, number: int) -> int:
        try:
            high, low = self._bus.read_i2c_block_data(self._address, number, 2)
        except OSError as error:
            self._is_known = False
            raise unanswered(error, self._address, self._setting) from None
        return high << 8 | low


def averaging_us(configuration: int) -> int:
    """Return the time in µs that a reading is averaged over, voltage and current converted by turns."""
    average = _AVERAGES[configuration >> 9 & 7]
    return average * (_CONVERSIONS_US[configuration >> 6 & 7] + _CONVERSIONS_US[configuration >> 3 & 7])


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8
