"""The port of an emulated device: a pty, a link to it at a steady path, and who has it open.

A program cannot tell the pty from a ttyACM but by its name: when it is unplugged, reads end and writes fail, and the
next one behind the same link is another device. What a pty lacks are the modem lines: opening it stands for RTS.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import termios
import tty
from pathlib import Path

from benchlab.errors import Exit, Fault

_IN_CLOSE = 0x8 | 0x10
_IN_OPEN = 0x20
_HEADER = struct.Struct("iIII")
_PTS = "/dev/pts/"


class Port:
    """One pty while it is plugged in. ``users`` counts who has it open, None where the system does not tell.

    The slave side is kept open too: so its settings can be undone when the last user has gone, as those of a
    ttyACM are. Raises Fault where there is no pty to be had, or where the link's place is taken.
    """

    def __init__(self, link: Path | None = None) -> None:
        try:
            self._master, self._slave = os.openpty()
        except OSError as error:
            raise Fault(f"no pty to be had: {error.strerror}", Exit.IO) from error
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._watch = _watch(self.path)
        self.users: int | None = None if self._watch is None else 0
        self._link = link
        try:
            self._make_link()
        except BaseException:
            self.close()
            raise

    def descriptors(self) -> list[int]:
        """Return what is readable when something happened."""
        return [fd for fd in (self._master, self._watch) if fd is not None]

    def came_and_went(self) -> tuple[bool, bool]:
        """Return whether somebody has opened the port since this was last asked, and whether the last user left it."""
        opened = abandoned = False
        users = self.users or 0
        for mask in [] if self._watch is None else _take(self._watch):
            opened = opened or bool(mask & _IN_OPEN)
            users += bool(mask & _IN_OPEN) - bool(mask & _IN_CLOSE)
            self.users = users
            abandoned = abandoned or users == 0
        if abandoned:
            self._settle()
        return opened, abandoned

    def read(self) -> bytes:
        """Return what was sent to the device, empty if nothing was."""
        try:
            return os.read(self._master, 4096)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Send to whoever has the port open; what does not fit into his buffer is lost, as on USB."""
        if self.users != 0:
            try:
                os.write(self._master, data)
            except BlockingIOError:
                pass

    def close(self) -> None:
        """Pull the plug: reads of who has it open end, and the link goes."""
        if self._link is not None and _target(self._link) == self.path:
            self._link.unlink()
        for fd in (self._master, self._slave, self._watch):
            if fd is not None:
                os.close(fd)

    def _settle(self) -> None:
        """Undo what the last user has left: bytes that he did not read, and the exclusive use he may have asked for."""
        termios.tcflush(self._slave, termios.TCIFLUSH)
        fcntl.ioctl(self._slave, termios.TIOCNXCL)
        if self.users == 0:
            tty.setraw(self._slave)

    def _make_link(self) -> None:
        if self._link is None:
            return
        there = _target(self._link)
        if there is None and self._link.exists():
            raise Fault(f"{self._link}: found a file, expected no file or the link of an earlier emulator", Exit.IO)
        if there is not None and not there.startswith(_PTS):
            raise Fault(f"{self._link}: found a link to {there}, expected one to {_PTS}...", Exit.IO)
        fresh = self._link.with_name(f".{self._link.name}.{os.getpid()}")
        try:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.path)
            fresh.replace(self._link)
        except OSError as error:
            raise Fault(f"{self._link}: cannot be made: {error.strerror}", Exit.IO) from error


def _target(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:
        return None


def _watch(path: str) -> int | None:
    """Return a descriptor that tells of openings and closings; None without inotify."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    except (OSError, AttributeError):
        return None
    if fd >= 0 and libc.inotify_add_watch(fd, path.encode(), _IN_OPEN | _IN_CLOSE) >= 0:
        return fd
    if fd >= 0:
        os.close(fd)
    return None


def _take(fd: int) -> list[int]:
    """Return the masks of what inotify has to report."""
    try:
        data = os.read(fd, 65536)
    except BlockingIOError:
        return []
    return [mask for _, mask, _, _ in _HEADER.iter_unpack(data[: len(data) // _HEADER.size * _HEADER.size])]
