"""Following a file of lines that somebody else appends to.

What a reader returns is a function of the bytes of the file: never of chunk sizes, timing or restarts.
"""

from __future__ import annotations

import os
import stat
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import msgspec

from benchlab.errors import Exit, Fault
from benchlab.event import Event
from benchlab.log.lines import HEAD, MAX_LINE, BadLine, LineDecoder, Lines, bad_line, line_offsets
from benchlab.log.timeguard import Candidate, TimeGuard

__all__ = ["BadLine", "Batch", "RawChanged", "ReaderState", "StreamReader"]

T = TypeVar("T")

_FINGERPRINT = 64  # bytes before a position by which a file is known again


class RawChanged(Fault):
    """The file is no longer the one that was read: ``truncated``, ``replaced`` or ``missing``.

    The reader stays where it is and says so again; start over with a new reader.
    """

    def __init__(self, path: Path, reason: str, offset: int) -> None:
        super().__init__(f"{path} was {reason} after {offset} bytes of it had been read", Exit.IO)
        self.path = path
        self.reason = reason


class ReaderState(msgspec.Struct, frozen=True):
    """All that a new reader needs to go on exactly where another stood."""

    offset: int
    highest_ns: int | None = None
    reported: int = 0  # bad lines below this offset have been handed out
    fingerprint: int = 0  # CRC-32 of up to 64 bytes before offset


@dataclass(slots=True)
class Batch(Generic[T]):
    """What one read found: the rows and bad lines decided by the bytes from ``start`` to ``end``.

    ``at_end``: the file holds no more whole lines now. A bad line comes when it is decided, so a held one may
    lie before ``start``-to-``end`` neighbours already reported; each comes once.
    """

    rows: list[T]
    start: int
    end: int
    bad: list[BadLine]
    at_end: bool
    _offsets: list[int] | None = field(default=None, repr=False)
    _data: bytes = field(default=b"", repr=False)

    def offset_of(self, i: int) -> int:
        """Return the offset of row ``i`` in the file."""
        if self._offsets is None:
            self._offsets = line_offsets(self._data, self.start)
        return self._offsets[i]


@dataclass(slots=True)
class _Oversized:
    offset: int
    head: bytes


class StreamReader(Generic[T]):
    """Reads the rows of one file from ``offset`` on, as far as they are there; never waits.

    A line without its newline is not there yet. Blank lines are skipped. A file that does not exist yet is
    empty. Rows of type Event are guarded: a line far in the future is held (see TimeGuard), and ``offset``
    stays at it, so that a reader restored there sees it again. Nothing beyond ``limit`` bytes is looked at.

    Raises RawChanged when the file is truncated, replaced or gone, Fault (IO) when it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        decoder: type[T],
        offset: int = 0,
        *,
        chunk_bytes: int = 256 * 1024,
        limit: int | None = None,
        guard_time: bool = True,
    ) -> None:
        self.path = path
        self.limit = limit
        self._decoder = LineDecoder(decoder)
        guarded = guard_time and issubclass(decoder, Event)
        self._guard: TimeGuard[Any] | None = TimeGuard() if guarded else None
        self._chunk = max(1, min(chunk_bytes, MAX_LINE))
        self._fd: int | None = None
        self._pos = offset  # of the first byte not yet taken in
        self._before = b""  # the bytes just before _pos: they must still be there
        self._reported = 0
        self._oversized: _Oversized | None = None

    @property
    def offset(self) -> int:
        """Where a restored reader has to begin: behind all that is decided."""
        if self._guard is not None and self._guard.held is not None:
            return self._guard.held.offset
        return self._pos if self._oversized is None else self._oversized.offset

    @property
    def held(self) -> bool:
        """Whether a line waits for the next one to confirm its time."""
        return self._guard is not None and self._guard.held is not None

    def read(self) -> Batch[T]:
        """Return what the next chunk of whole lines holds; an empty batch if there is none."""
        start, position = self.offset, self._pos
        if self._oversized is not None:
            bad, at_end = self._skip(self._oversized)
            return Batch([], start, self.offset, self._new(bad), at_end)
        data, at_end = self._whole_lines()
        if not data:
            return Batch([], start, self.offset, [], at_end)
        lines = self._decoder.decode(data, position)
        lines.bad = self._new(lines.bad)
        lines = self._guarded(lines, data, position)
        return Batch(lines.rows, start, self.offset, lines.bad, at_end, lines.offsets, data)

    def flush_held(self) -> Batch[T]:
        """Decide what was left open at the end of a file that will not grow.

        A last line that lacks only its newline is taken; a torn one stays unread. Then a held first line is
        good, any other held line is bad. Call it when ``read`` is at the end; ``restore`` can undo it.
        """
        start, position = self.offset, self._pos
        data = self._unterminated_row()
        lines = (
            self._guarded(self._decoder.decode(data, position), data, position) if data else Lines([], [], [])
        )
        offsets = list(lines.offsets) if lines.offsets is not None else [position] * len(lines.rows)
        rows = list(lines.rows)
        if self._guard is not None:
            good, bad = self._guard.flush()
            rows += [c.row for c in good]
            offsets += [c.offset for c in good]
            lines.bad += [bad] if bad else []
        return Batch(rows, start, self.offset, lines.bad, True, offsets)

    def state(self) -> ReaderState:
        """Return what ``restore`` needs. Raises Fault (IO)."""
        offset = self.offset
        reported = self._pos if self._oversized is None else self._oversized.offset
        highest_ns = None if self._guard is None else self._guard.highest_ns
        return ReaderState(
            offset, highest_ns, max(reported, self._reported), zlib.crc32(self._bytes_before(offset))
        )

    def restore(self, state: ReaderState) -> None:
        """Go to where the reader stood that gave this state. Raises RawChanged if the file is another one."""
        self._pos = state.offset
        self._reported = state.reported
        self._oversized = None
        if self._guard is not None:
            self._guard.held = None
            self._guard.highest_ns = state.highest_ns
        self._before = self._bytes_before(state.offset)
        if zlib.crc32(self._before) != state.fingerprint:
            raise self._changed()

    def unread(self) -> int:
        """Return how many bytes of the file lie beyond ``offset``."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return 0
        if self.limit is not None:
            size = min(size, self.limit)
        return max(0, size - self.offset)

    def sync(self) -> None:
        """Make what was read durable, whoever wrote it. Raises OSError."""
        if self._fd is not None:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> StreamReader[T]:
        """Return the reader; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _new(self, bad: list[BadLine]) -> list[BadLine]:
        return [b for b in bad if b.offset >= self._reported]

    def _guarded(self, lines: Lines[T], data: bytes, start: int) -> Lines[T]:
        """Pass the rows through the time guard, one by one if need be."""
        if self._guard is None or self._guard.passes(lines.rows):
            return lines
        good: list[Candidate[Any]] = []
        bad = [(b.offset, b) for b in lines.bad]
        offsets = line_offsets(data, start) if lines.offsets is None else lines.offsets
        for row, offset in zip(lines.rows, offsets, strict=True):
            line = data[offset - start : data.index(b"\n", offset - start)]
            passed, convicted = self._guard.admit(Candidate(row, offset, line))
            good += passed
            if convicted is not None:
                bad.append((offset, convicted))
        bad.sort(key=lambda decided: decided[0])  # in the order in which a byte-by-byte reader finds them
        return Lines([c.row for c in good], [c.offset for c in good], [b for _, b in bad])

    def _whole_lines(self) -> tuple[bytes, bool]:
        """Take in the next whole lines, up to a chunk of them, or the beginning of an oversized line."""
        size = self._chunk
        while True:
            data, at_end = self._peek(size)
            cut = data.rfind(b"\n") + 1
            if cut:
                data = data[:cut]
                self._advance(data)
                return data, at_end
            if len(data) > MAX_LINE:
                self._oversized = _Oversized(self._pos, data[:HEAD])
                self._advance(data)
            if at_end or self._oversized is not None:
                return b"", at_end
            size = min(2 * size, MAX_LINE + 1)

    def _skip(self, line: _Oversized) -> tuple[list[BadLine], bool]:
        """Go on over an oversized line; return it once its end is seen."""
        data, at_end = self._peek(max(self._chunk, HEAD))
        cut = data.find(b"\n") + 1
        self._advance(data[:cut] if cut else data)
        if not cut:
            return [], at_end
        self._oversized = None
        length = self._pos - 1 - line.offset
        return [bad_line(line.offset, line.head, "oversized", length=length)], at_end and cut == len(data)

    def _unterminated_row(self) -> bytes:
        """Take in a last line that lacks only its newline, and return it with one; b"" if there is none."""
        if self._oversized is not None:
            return b""
        data, _ = self._peek(MAX_LINE + 1)
        if b"\n" in data or len(data) > MAX_LINE or len(self._decoder.decode(data + b"\n", 0).rows) != 1:
            return b""
        self._advance(data)
        return data + b"\n"

    def _advance(self, data: bytes) -> None:
        self._pos += len(data)
        self._before = (self._before + data[-_FINGERPRINT:])[-_FINGERPRINT:]

    def _peek(self, size: int) -> tuple[bytes, bool]:
        """Return up to ``size`` bytes from the position on, and whether the file ends with them."""
        if not self._open():
            return b"", True
        if self.limit is not None:
            size = max(0, min(size, self.limit - self._pos))
        known = len(self._before)
        data = self._pread(size + known, self._pos - known)
        if data[:known] != self._before:
            raise self._changed()
        at_end = len(data) < size + known or (self.limit is not None and self._pos + size >= self.limit)
        if len(data) == known:
            self._check_still_there()
        return data[known:], at_end

    def _pread(self, size: int, offset: int) -> bytes:
        assert self._fd is not None
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            raise Fault(f"{self.path} cannot be read at byte {offset}: {error.strerror}") from error

    def _bytes_before(self, offset: int) -> bytes:
        length = min(_FINGERPRINT, offset)
        return self._pread(length, offset - length) if length and self._open() else b""

    def _open(self) -> bool:
        """Open the file unless it is open; return False while there is none."""
        if self._fd is not None:
            return True
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if self._pos:
                raise RawChanged(self.path, "missing", self._pos) from None
            return False
        except OSError as error:
            raise Fault(f"{self.path} cannot be opened: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Fault(f"{self.path} is not a regular file: a stream is one")
        self._fd = fd
        return True

    def _check_still_there(self) -> None:
        """Raise RawChanged if nothing can follow here because the file shrank, or another bears its name."""
        assert self._fd is not None
        ours = os.fstat(self._fd)
        if ours.st_size < self._pos:
            raise RawChanged(self.path, "truncated", self._pos)
        try:
            named = self.path.stat()
        except FileNotFoundError:
            raise RawChanged(self.path, "missing", self._pos) from None
        if (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino):
            raise RawChanged(self.path, "replaced", self._pos)

    def _changed(self) -> RawChanged:
        assert self._fd is not None
        shrank = os.fstat(self._fd).st_size < self._pos
        return RawChanged(self.path, "truncated" if shrank else "replaced", self._pos)
