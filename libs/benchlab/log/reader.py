"""Following a file of lines that somebody else appends to.

What a reader returns is a function of the bytes of the file: never of chunk sizes, timing or restarts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import msgspec

from benchlab.event import Event
from benchlab.log.follow import FollowedFile, RawChanged
from benchlab.log.lines import HEAD, MAX_LINE, BadLine, LineDecoder, Lines, bad_line, line_offsets
from benchlab.log.timeguard import Candidate, TimeGuard

__all__ = ["BadLine", "Batch", "RawChanged", "ReaderState", "StreamReader"]

T = TypeVar("T")


class ReaderState(msgspec.Struct, frozen=True):
    """All that a new reader needs to go on exactly where another stood."""

    offset: int
    highest_ns: int | None = None
    reported: int = 0  # bad lines below this offset have been handed out
    fingerprint: int = 0  # CRC-32 of up to 64 bytes before offset


@dataclass(slots=True)
class Batch(Generic[T]):
    """What one read found: rows in file order, bad lines in the order in which they were known to be bad.

    ``start`` and ``end`` are the reader's ``offset`` before and after; ``at_end``: no more whole lines are
    there now. A held line is in no batch before it is decided, and every bad line is in exactly one.
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

    @property
    def data(self) -> bytes:
        """The lines that were read, as they stand in the file; empty within a line that is too long."""
        return self._data


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
        chunk_bytes: int = 64 * 1024,
        limit: int | None = None,
        guard_time: bool = True,
    ) -> None:
        self.path = path
        self._file = FollowedFile(path, offset, limit)
        self._decoder = LineDecoder(decoder)
        guarded = guard_time and issubclass(decoder, Event)
        self._guard: TimeGuard[Any] | None = TimeGuard() if guarded else None
        self._chunk = max(1, min(chunk_bytes, MAX_LINE))
        self._reported = 0
        self._oversized: _Oversized | None = None

    @property
    def offset(self) -> int:
        """Where a restored reader has to begin: behind all that is decided."""
        if self._guard is not None and self._guard.held is not None:
            return self._guard.held.offset
        return self._file.position if self._oversized is None else self._oversized.offset

    @property
    def held(self) -> bool:
        """Whether a line waits for the next one to confirm its time."""
        return self._guard is not None and self._guard.held is not None

    def read(self) -> Batch[T]:
        """Return what the next chunk of whole lines holds; an empty batch if there is none."""
        start, position = self.offset, self._file.position
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
        start, position = self.offset, self._file.position
        data = self._unterminated_row()
        lines = self._guarded(self._decoder.decode(data, position), data, position)
        rows = lines.rows
        offsets = [position] * len(rows) if lines.offsets is None else lines.offsets
        if self._guard is not None:
            good, bad = self._guard.flush()
            rows += [c.row for c in good]
            offsets += [c.offset for c in good]
            lines.bad += [bad] if bad else []
        return Batch(rows, start, self.offset, lines.bad, True, offsets)

    def state(self) -> ReaderState:
        """Return what ``restore`` needs. Raises Fault (IO)."""
        offset = self.offset
        reported = self._file.position if self._oversized is None else self._oversized.offset
        highest_ns = None if self._guard is None else self._guard.highest_ns
        return ReaderState(offset, highest_ns, max(reported, self._reported), self._file.fingerprint(offset))

    def restore(self, state: ReaderState) -> None:
        """Go to where the reader stood that gave this state. Raises RawChanged if the file is another one."""
        self._reported = state.reported
        self._oversized = None
        if self._guard is not None:
            self._guard.held = None
            self._guard.highest_ns = state.highest_ns
        self._file.seek(state.offset, state.fingerprint)

    def unread(self) -> int:
        """Return how many bytes of the file lie beyond ``offset``."""
        return max(0, self._file.size() - self.offset)

    def sync(self) -> None:
        """Make what was read durable, whoever wrote it. Raises OSError."""
        self._file.sync()

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        self._file.close()

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
            data, at_end = self._file.peek(size)
            cut = data.rfind(b"\n") + 1
            if cut:
                data = data[:cut]
                self._file.advance(data)
                return data, at_end
            if len(data) > MAX_LINE:
                self._oversized = _Oversized(self._file.position, data[:HEAD])
                self._file.advance(data)
            if self._oversized is not None:
                return b"", at_end
            if at_end:
                self._file.check()
                return b"", True
            size = min(2 * size, MAX_LINE + 1)

    def _skip(self, line: _Oversized) -> tuple[list[BadLine], bool]:
        """Go on over an oversized line; return it once its end is seen."""
        data, at_end = self._file.peek(max(self._chunk, HEAD))
        cut = data.find(b"\n") + 1
        self._file.advance(data[:cut] if cut else data)
        if not cut:
            if not data:
                self._file.check()
            return [], at_end
        self._oversized = None
        length = self._file.position - 1 - line.offset
        return [bad_line(line.offset, line.head, "oversized", length=length)], at_end and cut == len(data)

    def _unterminated_row(self) -> bytes:
        """Take in a last line that lacks only its newline, and return it with one; b"" if there is none."""
        if self._oversized is not None:
            return b""
        data, _ = self._file.peek(MAX_LINE + 1)
        if b"\n" in data or len(data) > MAX_LINE or len(self._decoder.decode(data + b"\n", 0).rows) != 1:
            return b""
        self._file.advance(data)
        return data + b"\n"
