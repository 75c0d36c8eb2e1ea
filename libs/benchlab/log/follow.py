"""A file that grows, read from a position on, and known again when it is another one."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

from benchlab.errors import Exit, Fault

_FINGERPRINT = 64  # bytes before the position by which a file is known again


class RawChanged(Fault):
    """The file is no longer the one that was read: ``truncated``, ``replaced`` or ``missing``.

    The reader stays where it is and says so again; start over with a new one.
    """

    def __init__(self, path: Path, reason: str, offset: int) -> None:
        super().__init__(f"{path} is {reason}, after {offset} bytes of it had been read", Exit.IO)
        self.path = path
        self.reason = reason


class FollowedFile:
    """The bytes of a file from ``position`` on; one that does not exist yet is empty. No call ever waits.

    Each look at new bytes also looks at the last ones taken before them, so that a file which was cut and
    grew again is noticed. Methods raise RawChanged, and Fault (IO) when the file cannot be read.
    """

    def __init__(self, path: Path, position: int = 0, limit: int | None = None) -> None:
        self.path = path
        self.position = position
        self.limit = limit  # nothing from here on is looked at
        self._before = b""
        self._fd: int | None = None

    def peek(self, size: int) -> tuple[bytes, bool]:
        """Return up to ``size`` bytes from the position on, and whether the file ends with them."""
        fd = self._open()
        if fd is None:
            return b"", True
        if self.limit is not None:
            size = max(0, min(size, self.limit - self.position))
        known = len(self._before)
        data = self._pread(fd, size + known, self.position - known)
        if not data.startswith(self._before):
            raise self._changed(fd)
        at_end = len(data) < size + known or (self.limit is not None and self.position + size >= self.limit)
        return data[known:], at_end

    def check(self) -> None:
        """Raise RawChanged if nothing can follow here: the file shrank, is gone, or another bears its name."""
        fd = self._open()
        if fd is None:
            return
        ours = os.fstat(fd)
        if ours.st_size < self.position:
            raise self._changed(fd)
        try:
            named = self.path.stat()
        except FileNotFoundError:
            raise RawChanged(self.path, "missing", self.position) from None
        if not os.path.samestat(named, ours):
            raise RawChanged(self.path, "replaced", self.position)

    def advance(self, data: bytes) -> None:
        """Take what ``peek`` returned, or the beginning of it."""
        self.position += len(data)
        self._before = (self._before + data[-_FINGERPRINT:])[-_FINGERPRINT:]

    def fingerprint(self, offset: int) -> int:
        """Return the CRC-32 of the up to 64 bytes before ``offset``."""
        remembered = offset == self.position and len(self._before) == min(_FINGERPRINT, offset)
        return zlib.crc32(self._before if remembered else self._bytes_before(offset))

    def seek(self, offset: int, fingerprint: int) -> None:
        """Go to an offset of a file that had this fingerprint there."""
        self.position = offset
        self._before = self._bytes_before(offset)
        if zlib.crc32(self._before) != fingerprint:
            raise RawChanged(self.path, "replaced", offset)

    def size(self) -> int:
        """Return how long the file that bears the name is now, at most ``limit``; 0 if there is none."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return 0
        return size if self.limit is None else min(size, self.limit)

    def sync(self) -> None:
        """Make what was read durable, whoever wrote it. Raises OSError."""
        if self._fd is not None:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _bytes_before(self, offset: int) -> bytes:
        length = min(_FINGERPRINT, offset)
        fd = self._open()
        if not length or fd is None:
            return b""
        before = self._pread(fd, length, offset - length)
        if len(before) < length:
            raise RawChanged(self.path, "truncated", offset)
        return before

    def _pread(self, fd: int, size: int, offset: int) -> bytes:
        try:
            return os.pread(fd, size, offset)
        except OSError as error:
            raise Fault(f"{self.path} cannot be read at byte {offset}: {error.strerror}") from error

    def _open(self) -> int | None:
        if self._fd is not None:
            return self._fd
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if self.position:
                raise RawChanged(self.path, "missing", self.position) from None
            return None
        except OSError as error:
            raise Fault(f"{self.path} cannot be opened: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Fault(f"{self.path} is not a regular file: found a folder, pipe or device")
        self._fd = fd
        return fd

    def _changed(self, fd: int) -> RawChanged:
        shrank = os.fstat(fd).st_size < self.position
        return RawChanged(self.path, "truncated" if shrank else "replaced", self.position)
