"""An I2C bus with chips on it, register by register, as smbus2 shows one."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

IDENTITY = {0xFE: 0x5449, 0xFF: 0x2270, 0x00: 0x6127}


@dataclass
class FakeBus:
    """A bus: ``chips`` is words by register by address. Who is not on it does not acknowledge.

    ``swaps`` hands the low byte over first, as a reader of SMBus words would see it; ``error`` fails every transfer.
    """

    chips: dict[int, dict[int, int]] = field(default_factory=dict)
    swaps: bool = False
    error: int | None = None
    is_closed: bool = False
    read: list[tuple[int, int]] = field(default_factory=list)

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        self.read.append((i2c_addr, register))
        assert length == 2
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        if i2c_addr not in self.chips:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        word = self.chips[i2c_addr].get(register, 0)
        high, low = word >> 8, word & 0xFF
        return [low, high] if self.swaps else [high, low]

    def close(self) -> None:
        self.is_closed = True


def ina260(volts: float, amperes: float, address: int = 0x40, configuration: int = 0x6127) -> FakeBus:
    """Return a bus with one INA260 that measures these."""
    current = round(amperes / 1.25e-3) & 0xFFFF
    registers = {0x01: current, 0x02: round(volts / 1.25e-3), 0x03: round(abs(volts * amperes) / 10e-3)}
    return FakeBus({address: {**IDENTITY, **registers, 0x00: configuration}})


def ina219(volts: float, amperes: float, address: int = 0x40, shunt_ohms: float = 0.1, conf: int = 0x399F) -> FakeBus:
    """Return a bus with one INA219 that measures these through a shunt."""
    shunt = round(amperes * shunt_ohms / 10e-6) & 0xFFFF
    return FakeBus({address: {0x00: conf, 0x01: shunt, 0x02: round(volts / 4e-3) << 3 | 0b010}})
