"""Following ``aligned/latency.jsonl`` beyond what muxd vouches for, and noticing when it is written anew.

Rows are read as soon as they are there; muxd may still cut them off and write others. What is not vouched for yet is
therefore remembered by its checksums, and compared as soon as it is, or as soon as the file has changed.
docs/adr/0013 says why.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchlab.errors import Fault
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.log.tail import line_start
from benchlab.log.vouched import Vouched, read_vouched
from benchlab.query.aligned import LATENCY_FILE
from webd.live.cursor import REACH, Cursor, crc_before, read_range
from webd.live.rows import Row

CHUNK = 64 * 1024
LOOK_BYTES = 64 * 1024
MOST_BLOCKS = 8192
LEAST_BYTES = 1024 * 1024
"""So much of the end of a file is read in any case, however short a time it covers."""


@dataclass(frozen=True)
class Rows:
    """Rows that came, with the offset of each; the file was read up to ``end``."""

    rows: list[tuple[int, Row]]
    end: int


@dataclass(frozen=True)
class Rewound:
    """Rows at and after ``at`` are withdrawn; they come again as they are now."""

    at: int


@dataclass(frozen=True)
class Restarted:
    """The file is another one: all that was read is void."""


Change = Rows | Rewound | Restarted


@dataclass(frozen=True)
class _Block:
    start: int
    end: int
    crc: int


class Tail:
    """Reads the rows of a session from the last ``keep_ns`` before its end on.

    No method waits. ``bad`` counts lines that are no rows; ``problem`` says why the file cannot be read.
    """

    def __init__(self, session_dir: Path, keep_ns: int) -> None:
        self.session = session_dir.name
        self.path = session_dir / "aligned" / LATENCY_FILE
        self.bad = 0
        self.problem = ""
        self._state_dir = session_dir / "state"
        self._vouched = read_vouched(self._state_dir)
        self.start = _start(self.path, keep_ns)
        self._open(self.start)

    @property
    def position(self) -> int:
        """How far the file was read."""
        return self._reader.offset

    @property
    def generation(self) -> int:
        """The generation of the file; 0 where no muxd has written it."""
        return self._vouched.generation if self._vouched else 0

    @property
    def vouched(self) -> Vouched | None:
        """What muxd said last of what it has written."""
        return self._vouched

    def cursor(self) -> Cursor:
        """Return the place behind the last row that was read."""
        return Cursor(self.session, self.generation, self.position, self._crc)

    def cursor_at(self, offset: int) -> Cursor:
        """Return a place further back."""
        if offset == self.position:
            return self.cursor()
        return Cursor(self.session, self.generation, offset, crc_before(self.path, offset) or 0)

    def holds(self, cursor: Cursor) -> bool:
        """Tell whether a cursor stands in what was read here, and nothing before it has changed."""
        here = (cursor.session, cursor.generation) == (self.session, self.generation)
        if not here or not self.start <= cursor.offset <= self.position:
            return False
        return self.cursor_at(cursor.offset).crc == cursor.crc

    def read(self) -> Iterator[Change]:
        """Yield what has come since the last call."""
        try:
            at_end = False
            while not at_end:
                batch = self._reader.read()
                at_end = batch.at_end
                self.bad += len(batch.bad)
                if batch.end > batch.start:
                    self._remember(batch.start, batch.end, batch.data)
                    rows = [(batch.offset_of(i), row) for i, row in enumerate(batch.rows)]
                    yield Rows(rows, batch.end)
            self.problem = ""
        except RawChanged as change:
            yield from self._changed(change)
        except Fault as fault:
            self.problem = fault.message

    def check(self) -> Iterator[Change]:
        """Yield what turned out to be written otherwise than it was read; call it every second or so."""
        found = read_vouched(self._state_dir)
        if (found.generation if found else 0) != self.generation:
            self._vouched = found
            yield Restarted()
            return
        self._vouched = found
        vouched = found.outputs.get(LATENCY_FILE, 0) if found else 0
        done = [block for block in self._blocks if block.end <= vouched]
        wrong = self._first_wrong(done)
        if wrong is not None:
            yield self._go_back(wrong)
            return
        del self._blocks[: len(done)]

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _open(self, offset: int) -> None:
        self._reader = StreamReader(self.path, Row, offset, chunk_bytes=CHUNK)
        self._before = read_range(self.path, max(0, offset - REACH), offset)
        self._crc = zlib.crc32(self._before)
        self._blocks: list[_Block] = []

    def _remember(self, start: int, end: int, data: bytes) -> None:
        if data:
            self._before = (self._before + data[-REACH:])[-REACH:]
        else:
            self._before = read_range(self.path, max(0, end - REACH), end)
        self._crc = zlib.crc32(self._before)
        vouched = self._vouched.outputs.get(LATENCY_FILE, 0) if self._vouched else end
        if data and end > vouched:
            self._blocks.append(_Block(start, end, zlib.crc32(data)))
            del self._blocks[:-MOST_BLOCKS]

    def _first_wrong(self, blocks: list[_Block]) -> _Block | None:
        """Return the first block that the file has otherwise than it was read."""
        return next((b for b in blocks if zlib.crc32(read_range(self.path, b.start, b.end)) != b.crc), None)

    def _changed(self, change: RawChanged) -> Iterator[Change]:
        """Find out what became of the file that is not as it was."""
        found = read_vouched(self._state_dir)
        same = found is not None and found.generation == self.generation and not found.rebuilding
        if change.reason == "missing" or not same or not self._blocks:
            self._vouched = found
            yield Restarted()
            return
        wrong = self._first_wrong(self._blocks)
        if wrong is None:  # written again, the same, before anybody looked: only the descriptor is stale
            position, blocks = self.position, self._blocks
            self._reader.close()
            self._open(position)
            self._blocks = blocks
            return  # what follows is read the next time
        yield self._go_back(wrong)

    def _go_back(self, block: _Block) -> Rewound:
        kept = [known for known in self._blocks if known.end <= block.start]
        self._reader.close()
        self._open(block.start)
        self._blocks = kept
        return Rewound(block.start)


def _start(path: Path, keep_ns: int) -> int:
    """Return the offset from which the last ``keep_ns``, and at least ``LEAST_BYTES``, are read; found by bisection."""
    try:
        size = path.stat().st_size
        low, high = 0, max(0, size - LEAST_BYTES)
        if not high:
            return 0
        newest_ns = _newest_ns(path, size)
        while high - low > LOOK_BYTES:
            middle = (low + high) // 2
            first_ns = _first_ns(path, middle)
            low, high = (middle, high) if first_ns < newest_ns - keep_ns else (low, middle)
        return line_start(path, low)
    except (OSError, Fault):
        return 0


def _newest_ns(path: Path, size: int) -> int:
    with StreamReader(path, Row, line_start(path, max(0, size - LOOK_BYTES)), limit=size) as reader:
        return max((row.ts_aligned_ns for row in reader.read().rows), default=0)


def _first_ns(path: Path, offset: int) -> int:
    with StreamReader(path, Row, line_start(path, offset), chunk_bytes=LOOK_BYTES) as reader:
        rows = reader.read().rows
        return rows[0].ts_aligned_ns if rows else 0
