"""The I2C bus that chips are on: what is asked of it, and what its errors mean."""

from __future__ import annotations

import errno
from typing import Protocol

from benchlab.daemon.source import Absent, Transient

_ENABLE_FIX = "sudo raspi-config nonint do_i2c 0 (elsewhere: modprobe i2c-dev), and join the group i2c"
_NO_SMBUS2 = "pip install 'benchlab-linux-telemetry[i2c]'"


class Bus(Protocol):
    """What is asked of an I2C bus: the one method of smbus2.SMBus that is needed."""

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        """Return ``length`` bytes from a register on. Raises OSError: ENXIO or EREMOTEIO if nobody answers."""
        ...


def open_bus(number: int) -> Bus:
    """Open ``/dev/i2c-N``. Raises OSError, or Absent without the library; imported here: few boards have one."""
    try:
        from smbus2 import SMBus
    except ImportError:
        raise Absent("smbus2 is not installed", _NO_SMBUS2) from None
    bus: Bus = SMBus(number)
    return bus


def no_bus(error: OSError, path: str) -> Absent:
    """Return what a bus that cannot be opened means."""
    return Absent(f"{path}: {error.strerror or error}", _ENABLE_FIX)


def unanswered(error: OSError, address: int, setting: str) -> Absent | Transient:
    """Return what a failed transfer means; ``setting`` is where the address is chosen."""
    at = f"I2C address 0x{address:02x}"
    if error.errno == errno.EBUSY:
        return Absent(f"{at}: a driver of the kernel has it", "read it through hwmon, or unbind the driver")
    if error.errno in (errno.ENXIO, errno.EREMOTEIO):
        return Absent(f"{at}: nobody answers", f"check the wiring (i2cdetect -y 1 shows who is there), set {setting}")
    return Transient(f"{at}: {error.strerror or error}")


def signed(word: int) -> int:
    """Return a register of 16 bits as the signed number it stands for."""
    return word - 0x10000 if word & 0x8000 else word
