"""Commands of the serial power meters, and the only ones that this product ever sends.

Numbers mean different things on different devices behind the same USB ids: 0x07 reads the lights of a BENCHLAB and
writes the calibration of a PMD2. So nothing but WELCOME may be sent to a device that has not said what it is.
Source: the maker's contracts and clients (benchlab-pycore, PMD2-Python, pmd-usb-logger).
"""

from __future__ import annotations

from dataclasses import dataclass

WELCOME = 0x00
"""The one command that every device of the family understands, and that changes nothing on any of them."""


@dataclass(frozen=True)
class Command:
    """One read-only command: its number, the length of its reply in bytes, how many argument bytes it takes."""

    opcode: int
    reply_size: int
    arguments: int = 0


class Forbidden(Exception):
    """Somebody tried to send what is not on a device's list of read-only commands."""
