"""A serial line to a device: opened for this process alone, read as bytes come, never waited for longer than told."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import termios
from collections.abc import Callable
from grp import getgrgid
from pathlib import Path
from typing import Protocol

import serial

from benchlab.cli import holders
from benchlab.daemon import Absent

NO_PORT = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR})
BUSY = frozenset({errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK})
REFUSED = frozenset({errno.EACCES, errno.EPERM})
_READ_WRITE = 0o060


class NoPortError(Absent):
    """There is no such port: nothing is plugged in there."""


class LineGoneError(Exception):
    """The line broke: the device was unplugged, or its driver gave up."""


class Line(Protocol):
    """Bytes to and from a device. All methods raise LineGoneError when it is there no more."""

    def write(self, data: bytes) -> None:
        """Send a few bytes."""
        ...

    def read(self, most: int, wait_ns: int) -> bytes:
        """Return what has come, or comes first within ``wait_ns``; nothing if nothing does."""
        ...

    def close(self) -> None:
        """Let go of the port."""
        ...


OpenLine = Callable[[str, int], Line]
"""Opens a port by its path and speed. Raises Absent, with the reason and the fix."""


class SerialLine:
    """A serial port with 8 data bits, no parity, one stop bit, no flow control, DTR and RTS on.

    It is locked against others who ask (flock) and those who do not (TIOCEXCL).
    Raises OSError, and ValueError for a speed that the port does not have.
    """

    def __init__(self, path: str, baud: int) -> None:
        self._serial = serial.Serial(path, baud, timeout=0, rtscts=False, dsrdtr=False, exclusive=True)
        self._fd: int = self._serial.fileno()
        fcntl.ioctl(self._fd, termios.TIOCEXCL)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def write(self, data: bytes) -> None:
        """Send a few bytes. Raises LineGoneError."""
        try:
            sent = os.write(self._fd, data)
        except OSError as error:
            raise LineGoneError(str(error)) from None
        if sent != len(data):
            raise LineGoneError(f"took {sent} of {len(data)} bytes")

    def read(self, most: int, wait_ns: int) -> bytes:
        """Return what has come, or comes first within ``wait_ns``; nothing if nothing does. Raises LineGoneError."""
        if not self._poll.poll(max(0.0, wait_ns / 1e6)):
            return b""
        try:
            data = os.read(self._fd, most)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise LineGoneError(error.strerror or str(error)) from None
        if not data:
            raise LineGoneError("end of file")
        return data

    def close(self) -> None:
        """Let go of the port."""
        self._serial.close()


def open_serial(path: str, baud: int) -> Line:
    """Open a serial port. Raises Absent, with the reason and the fix."""
    try:
        return SerialLine(path, baud)
    except OSError as error:  # of which pyserial's exceptions are a kind
        raise refusal(error, path) from None
    except (ValueError, termios.error) as error:
        raise Absent(f"{path}: {error}") from None


def refusal(error: OSError, path: str, root: Path = Path("/")) -> Absent:
    """Return why a port could not be opened, and what mends it."""
    if error.errno in NO_PORT:
        return NoPortError(f"no {path}: nothing is plugged in there", "plug it in, or name its port with --device")
    if error.errno in BUSY:
        who = " and ".join(holders({os.path.realpath(path)}, root)) or "another process"
        return Absent(f"{path} is in use by {who}", "stop it, or take another port with --device")
    if error.errno in REFUSED:
        return _no_permission(path)
    return Absent(f"cannot open {path} as a serial port: {error.strerror or error}")


def _no_permission(path: str) -> Absent:
    found = Path(path).stat()
    group = _group(found.st_gid)
    reason = f"no permission to open {path}, which belongs to the group {group}"
    if group == "root" or stat.S_IMODE(found.st_mode) & _READ_WRITE != _READ_WRITE:
        fix = f"give a group access to it: sudo chgrp dialout {path} && sudo chmod 660 {path}"
        return Absent(reason, fix)
    return Absent(reason, f"add yourself to that group: sudo usermod -aG {group} $USER (and log in again)")


def _group(number: int) -> str:
    try:
        return getgrgid(number).gr_name
    except KeyError:
        return str(number)
