"""Serial ports on USB that may be those of a meter: their ids prove nothing, so each still has to be asked.

Read from /sys and not by pyserial, so that it can be another machine's.
Source: sysfs of Linux, /sys/class/tty/*/device; ids from the maker's contracts and clients.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

IDS = frozenset({("0483", "5740"), ("1a86", "7523")})
"""ST's stock id, which BENCHLAB, PMD2 and many hobby boards share, and that of the CH340 in a PMD-USB."""

_NAMES = ("ttyACM", "ttyUSB")


@dataclass(frozen=True)
class UsbPort:
    """A serial port: its device node, its place on the bus (``1-1.2``) and its vendor and product id."""

    path: str
    place: str
    ids: tuple[str, str]


def usb_ports(root: Path = Path("/")) -> list[UsbPort]:
    """Return the serial ports on USB in the order of their numbers; ``root`` is a prefix of /sys and /dev."""
    try:
        names = [entry.name for entry in os.scandir(root / "sys/class/tty") if entry.name.startswith(_NAMES)]
    except OSError:
        return []
    found = (usb_port(name, root) for name in sorted(names, key=lambda name: (len(name), name)))
    return [port for port in found if port is not None]


def usb_port(name: str, root: Path = Path("/")) -> UsbPort | None:
    """Return the port of this name (``ttyACM0``), None if it is none on USB."""
    interface = (root / "sys/class/tty" / name / "device").resolve()
    for folder in (interface, *interface.parents[:3]):
        try:
            ids = ((folder / "idVendor").read_text().strip(), (folder / "idProduct").read_text().strip())
        except OSError:
            continue
        return UsbPort(str(root / "dev" / name), folder.name, ids)
    return None
