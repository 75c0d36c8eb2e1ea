"""Files of /proc and /sys that are read again and again: opened once, then one pread a reading."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from benchlab.daemon.source import Absent, Transient

_FIRST_SIZE = 4096
_WHOLE_BELOW = 2048  # the kernel hands tables out by pages of 4 KiB: an answer this short is all there is
_SHOWN = 120
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR)


class ProcFile:
    """One file under ``root``, kept open from the first reading on."""

    def __init__(self, root: Path, name: str) -> None:
        self.path = root / name
        self._fd: int | None = None
        self._size = _FIRST_SIZE

    def read(self) -> bytes:
        """Return the file's content now. Raises Absent if it is not there or not ours to read."""
        try:
            return self._content()
        except OSError as error:
            raise _absent(self.path, error) from None

    def number(self) -> int | None:
        """Return the integer in it, None if the device has no value at the moment.

        Raises PermissionError, Transient for garbage, and FileNotFoundError where the device is gone.
        """
        try:
            data = self._content()
        except OSError as error:
            if error.errno in _GONE:
                raise FileNotFoundError(errno.ENOENT, "the device is gone", str(self.path)) from None
            if isinstance(error, PermissionError):
                raise
            return None
        try:
            return int(data) if data.strip() else None
        except ValueError:
            raise self.garbage(data, "an integer") from None

    def _content(self) -> bytes:
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return self._pread(self._fd)
        except OSError:
            self.close()
            raise

    def _pread(self, fd: int) -> bytes:
        data = os.pread(fd, self._size, 0)
        while len(data) >= _WHOLE_BELOW:
            more = os.pread(fd, self._size, len(data))
            if not more:
                break
            data += more
            self._size = max(self._size, 2 * len(data))
        return data

    def close(self) -> None:
        """Close the file; the next reading opens it anew."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def garbage(self, found: bytes, expected: str) -> Transient:
        """Return the error for content that is not what the kernel's documentation promises."""
        shown = found[:_SHOWN].decode("ascii", "backslashreplace")
        return Transient(f"{self.path}: found {shown!r}, expected {expected}")


def _absent(path: Path, error: OSError) -> Absent:
    if isinstance(error, PermissionError):
        return Absent(f"{path}: permission denied", "run as a user who may read it")
    return Absent(f"{path}: {error.strerror}")


class Rates:
    """Turns counters into rates a second; each key is a counter of its own.

    No rate on the first reading, nor where a counter went backwards, nor over no time: absent, not 0.
    """

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._before_ns = 0

    def update(self, counters: dict[str, int], now_ns: int) -> dict[str, float]:
        """Take the counters as read at ``now_ns`` (any steady clock) and return the rates that are known."""
        elapsed_ns = now_ns - self._before_ns
        before, self._before, self._before_ns = self._before, counters, now_ns
        if elapsed_ns <= 0:
            return {}
        return {
            key: (value - before[key]) * 1e9 / elapsed_ns
            for key, value in counters.items()
            if key in before and value >= before[key]
        }
