"""ElmorLabs PMD-USB and PMD2: their commands and the layouts of their readings.

Little-endian, packed. Sources: pmd-usb-logger and the maker's PMD2-Python; of the PMD2 only the pre-release firmware
is known, and the unit of its four sums is not stated anywhere, so that they are not read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from benchlab.boards.benchlab import VENDOR_ID
from benchlab.boards.command import WELCOME, Command


class UsbRail(NamedTuple):
    """One input of a PMD-USB: hundredths of a volt, tenths of an ampere."""

    cv: int
    da: int


@dataclass(frozen=True)
class Meter:
    """One of the two devices: how it is known, and what it may be asked."""

    product_id: int
    name: str
    welcome: bytes
    pushes_welcome: bool
    rails: tuple[str, ...]
    id_command: Command
    uid_command: Command | None
    sensors_command: Command

    @property
    def commands(self) -> dict[int, Command]:
        """The read-only commands by number; nothing else may be sent to it."""
        known = [Command(WELCOME, len(self.welcome)), self.id_command, self.sensors_command]
        known += [self.uid_command] if self.uid_command is not None else []
        return {command.opcode: command for command in known}

    def vendor_data(self, firmware: int) -> bytes:
        """Return the answer to the command that asks who it is."""
        return bytes((VENDOR_ID, self.product_id, firmware))


PMD_USB = Meter(
    product_id=0x0A,
    name="PMD-USB",
    welcome=b"ElmorLabs PMD-USB",
    pushes_welcome=False,
    rails=("pcie1", "pcie2", "eps1", "eps2"),
    id_command=Command(0x01, 3),
    uid_command=None,
    sensors_command=Command(0x03, 16),
)
PMD2 = Meter(
    product_id=0x15,
    name="PMD2",
    welcome=b"ElmorLabs PMD2\0",
    pushes_welcome=True,
    rails=("atx12v", "atx5v", "atx5vsb", "atx3v", "hpwr1", "eps1", "eps2", "pcie1", "pcie2", "pcie3"),
    id_command=Command(0x01, 3),
    uid_command=Command(0x02, 12),
    sensors_command=Command(0x04, 122),
)
METERS = (PMD_USB, PMD2)
PMD2_FIRMWARE = 0
"""The one firmware of a PMD2 whose layout is known; that of a PMD-USB is the same with every firmware."""

_USB = struct.Struct("<8h")
_PMD2 = struct.Struct("<Hh" + "hii" * len(PMD2.rails) + "4H10B")


class Pmd2Rail(NamedTuple):
    """One input of a PMD2: millivolts, milliamperes, milliwatts."""

    mv: int
    ma: int
    mw: int


class Pmd2Frame(NamedTuple):
    """What a PMD2 reads. ``chip`` is in an unknown scale, ``sums`` in an unknown unit: neither is shown."""

    vdd_mv: int
    chip: int
    rails: tuple[Pmd2Rail, ...]
    sums: tuple[int, int, int, int]
    ocp: bytes


def decode_usb(data: bytes) -> tuple[UsbRail, ...]:
    """Return the four inputs of a PMD-USB. Raises ValueError unless ``data`` has exactly 16 bytes."""
    _check(data, _USB)
    numbers = _USB.unpack(data)
    return tuple(UsbRail(*numbers[at : at + 2]) for at in range(0, len(numbers), 2))


def encode_usb(rails: tuple[UsbRail, ...]) -> bytes:
    """Return the bytes of the four inputs of a PMD-USB. Raises ValueError for what does not fit."""
    return _pack(_USB, *(number for rail in rails for number in rail))


def decode_pmd2(data: bytes) -> Pmd2Frame:
    """Return a PMD2's readings. Raises ValueError unless ``data`` has exactly 122 bytes."""
    _check(data, _PMD2)
    vdd_mv, chip, *numbers = _PMD2.unpack(data)
    count = 3 * len(PMD2.rails)
    rails = tuple(Pmd2Rail(*numbers[at : at + 3]) for at in range(0, count, 3))
    eps, pcie, mainboard, total = numbers[count : count + 4]
    return Pmd2Frame(vdd_mv, chip, rails, (eps, pcie, mainboard, total), bytes(numbers[count + 4 :]))


def encode_pmd2(frame: Pmd2Frame) -> bytes:
    """Return the bytes of a PMD2's readings. Raises ValueError for what does not fit."""
    rails = (number for rail in frame.rails for number in rail)
    return _pack(_PMD2, frame.vdd_mv, frame.chip, *rails, *frame.sums, *frame.ocp)


def _check(data: bytes, layout: struct.Struct) -> None:
    if len(data) != layout.size:
        raise ValueError(f"found a frame of {len(data)} bytes, expected {layout.size}")


def _pack(layout: struct.Struct, *numbers: int) -> bytes:
    try:
        return layout.pack(*numbers)
    except struct.error as error:
        raise ValueError(str(error)) from None
