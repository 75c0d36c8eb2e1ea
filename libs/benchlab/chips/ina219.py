"""INA219: voltage of a bus and current through a shunt beside the chip, over I2C, as UPS HATs have it.

The current is that of the shunt's voltage and resistance; the chip's own current register needs a calibration that the
next program would change. It has no identity: any chip at the address is taken for one, so it is never searched for.
Source: Texas Instruments, INA219 data sheet (SBOS448).
"""

from __future__ import annotations

from benchlab.chips.i2c import Bus, signed, unanswered
from benchlab.chips.ina260 import Measurement
from benchlab.daemon.source import Transient

ADDRESS = 0x40
ADDRESSES = range(0x40, 0x50)
"""Where an INA219 can be, by its pins A0 and A1."""

SHUNT_OHMS = 0.1
"""What most boards with the chip have soldered."""

CONFIGURATION, SHUNT, BUS = 0x00, 0x01, 0x02
SHUNT_VOLTS_PER_BIT = 10e-6
BUS_VOLTS_PER_BIT = 4e-3

_BUS_SHIFT = 3
_CONTINUOUS = 0b111  # shunt and bus, one after the other, again and again
_RANGE_V = 40e-3


class Ina219:
    """The chip at an address, with a shunt of ``shunt_ohms``. Nothing is ever written to it."""

    def __init__(
        self, bus: Bus, address: int = ADDRESS, shunt_ohms: float = SHUNT_OHMS, setting: str = "its address"
    ) -> None:
        self._bus = bus
        self._address = address
        self._shunt_ohms = shunt_ohms
        self._setting = setting

    def read(self) -> Measurement:
        """Return what it measures now; the power is that of voltage and current.

        Raises Absent: nobody at the address, a driver of the kernel in the way; Transient: it does not measure, or
        there is more current than its range holds.
        """
        configuration = self._register(CONFIGURATION)
        at = f"I2C address 0x{self._address:02x}"
        if configuration & _CONTINUOUS != _CONTINUOUS:
            raise Transient(
                f"{at}: found the configuration 0x{configuration:04x}, expected one that measures on and on"
            )
        shunt_v = signed(self._register(SHUNT)) * SHUNT_VOLTS_PER_BIT
        range_v = _RANGE_V * (1 << (configuration >> 11 & 3))
        if abs(shunt_v) >= range_v:
            raise Transient(f"{at}: more than the {range_v * 1e3:g} mV across the shunt that its range holds")
        voltage_v = (self._register(BUS) >> _BUS_SHIFT) * BUS_VOLTS_PER_BIT
        current_a = shunt_v / self._shunt_ohms
        return Measurement(voltage_v, current_a, voltage_v * current_a, abs(voltage_v * current_a))

    def _register(self, number: int) -> int:
        try:
            high, low = self._bus.read_i2c_block_data(self._address, number, 2)
        except OSError as error:
            raise unanswered(error, self._address, self._setting) from None
        return high << 8 | low
