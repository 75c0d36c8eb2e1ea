"""The rows of a session as far as muxd vouches for them, from a sink's cursors on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchlab.errors import Fault
from benchlab.event import BOOKMARK, Aligned, Event
from benchlab.log.place import hash_before, line_before
from benchlab.log.reader import BadLine, ReaderState, StreamReader
from benchlab.log.reader import Batch as LineBatch
from benchlab.log.vouched import Vouched
from muxd.checkpoint import FILE as CHECKPOINT
from muxd.outputs import LATENCY_FILE, SIGNALS_FILE
from muxd.sinks.cursor import Cursor, Cursors
from muxd.sinks.sink import Record, Transient

LATENCY_STREAM = f"aligned/{LATENCY_FILE}"
SIGNALS_STREAM = f"aligned/{SIGNALS_FILE}"
BOOKMARKS_STREAM = "raw/bookmarks.jsonl"
PIMON_STREAM = "raw/pimon.jsonl"
PI_SYSTEM, PI_BATTERY, PI_PROCESSES = "pi.system", "pi.battery", "pi.processes"

CHUNK_BYTES = 256 * 1024  # of one stream in one batch
NS_PER_S = 1_000_000_000


class _Stream(NamedTuple):
    name: str
    row_type: type[Event] | type[Aligned]
    sources: tuple[str, ...] = ()  # of a raw stream; of an aligned one all are taken

    @property
    def is_raw(self) -> bool:
        return self.name.startswith("raw/")

    def takes(self, row: Event | Aligned) -> bool:
        return not self.is_raw or row.source in self.sources


STREAMS = (
    _Stream(LATENCY_STREAM, Aligned),
    _Stream(SIGNALS_STREAM, Aligned),
    _Stream(BOOKMARKS_STREAM, Event, (BOOKMARK,)),
    _Stream(PIMON_STREAM, Event, (PI_SYSTEM, PI_BATTERY, PI_PROCESSES)),  # aligned rows have no tables
)


class LogChanged(Exception):
    """The log was made anew: cursors in the old one mean nothing any more."""


class Batch(msgspec.Struct):
    """Records in the order of their streams, lines that are none, and where a reader stands behind them."""

    records: list[Record]
    bad: list[tuple[str, BadLine]]
    cursors: Cursors


class _Taken(msgspec.Struct, frozen=True):
    offset: int = 0


class Checkpointed(Vouched, frozen=True):
    """muxd's word, with how far it has taken in the raw streams: what lies beyond may not be on the disk yet."""

    streams: dict[str, _Taken] = msgspec.field(default_factory=dict)

    def length(self, stream: str) -> int:
        """Return how many bytes of a stream may be read."""
        folder, _, name = stream.partition("/")
        if folder == "raw":
            return self.streams[name].offset if name in self.streams else 0
        return self.outputs.get(name, 0)


class Word:
    """Reads muxd's word when it was given anew; None while nothing is vouched for."""

    def __init__(self, session_dir: Path) -> None:
        self._path = session_dir / "state" / CHECKPOINT
        self._seen: tuple[int, int, int] | None = None
        self._last: Checkpointed | None = None

    def __call__(self) -> Checkpointed | None:
        """Return the present word."""
        try:
            status = self._path.stat()
            signature = status.st_mtime_ns, status.st_ino, status.st_size
            if signature != self._seen:
                found = msgspec.json.decode(self._path.read_bytes(), type=Checkpointed)
                self._last = None if found.rebuilding else found
                self._seen = signature
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._seen = self._last = None
        return self._last


class Feed:
    """A session as its sinks read it: what is read from the same cursors is the same.

    It remembers how a raw stream was read up to its cursor, only so as not to read that again.
    """

    def __init__(self, session_dir: Path) -> None:
        self._dir = session_dir
        self._places: dict[str, ReaderState] = {}
        self.word = Word(session_dir)

    def mismatch(self, cursors: Cursors, word: Checkpointed) -> str | None:
        """Return why these cursors are not of this log, None if they are. Raises OSError."""
        return next(filter(None, (self._wrong(name, cursor, word) for name, cursor in cursors.items())), None)

    def read(self, cursors: Cursors, generation: int) -> Batch | None:
        """Return the next rows that are vouched for, None if there are none.

        Raises LogChanged when this generation is over, Transient when the log cannot be read.
        """
        word = self._checked(generation)
        batch = Batch([], [], dict(cursors))
        try:
            moved = [self._read_into(batch, stream, word) for stream in STREAMS]
        except (Fault, OSError, Transient) as error:
            self._checked(generation)  # a rebuild replaces files, and says so before it does
            raise Transient(str(error)) from error
        self._checked(generation)  # what was read is of this generation only if it is still the present one
        return batch if any(moved) else None

    def lag_s(self, cursors: Cursors) -> float | None:
        """Return how much of the timeline lies between what is vouched for and what is stored, in seconds.

        Safe to call from another thread; None while nothing is vouched for.
        """
        word = Word(self._dir)()
        if word is None:
            return None
        try:
            return max((self._behind_ns(name, cursors.get(name), word) for name in _ALIGNED), default=0) / NS_PER_S
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _checked(self, generation: int) -> Checkpointed:
        word = self.word()
        if word is None or word.generation != generation:
            raise LogChanged
        return word

    def _read_into(self, batch: Batch, stream: _Stream, word: Checkpointed) -> bool:
        """Add the next chunk of a stream to a batch and tell whether there was one. Raises Fault, OSError, Transient.

        A raw stream is read from its beginning, or from where this reader left it, for the verdict on a line whose
        time jumps depends on the lines before; what lies before the cursor is not handed out again.
        """
        path, limit = self._dir / stream.name, word.length(stream.name)
        offset = batch.cursors[stream.name].offset if stream.name in batch.cursors else 0
        if limit <= offset:
            return False
        start = 0 if stream.is_raw else offset
        with StreamReader(path, stream.row_type, start, chunk_bytes=CHUNK_BYTES, limit=limit) as reader:
            place = self._places.pop(stream.name, None)
            if place is not None and place.offset == offset:
                reader.restore(place)
            found = _beyond(reader, offset, final=word.final)
            if stream.is_raw:
                self._places[stream.name] = reader.state()
        if found.end <= offset:
            _check_length(path, stream, limit)
            return False
        _take(batch, stream, found, offset)
        batch.cursors[stream.name] = Cursor(word.generation, found.end, hash_before(path, found.end))
        return True

    def _wrong(self, name: str, cursor: Cursor, word: Checkpointed) -> str | None:
        path = self._dir / name
        if cursor.generation != word.generation:
            return f"its cursor is of generation {cursor.generation}, the aligned files are of {word.generation}"
        if name.startswith("raw/") and not path.exists():
            return None  # raw files are trimmed before their session; what was stored of them stays true
        if cursor.offset > word.length(name):
            return f"its cursor is at byte {cursor.offset} of {name}, of which {word.length(name)} are vouched for"
        if hash_before(path, cursor.offset) != cursor.hash:
            return f"another line stands before byte {cursor.offset} of {name} than when it was read"
        return None

    def _behind_ns(self, name: str, cursor: Cursor | None, word: Checkpointed) -> int:
        end = word.length(name)
        offset = cursor.offset if cursor and cursor.generation == word.generation else 0
        if offset >= end:
            return 0
        return max(0, _time_ns(self._dir / name, end) - _time_ns(self._dir / name, offset))


_ALIGNED = tuple(stream.name for stream in STREAMS if not stream.is_raw)


class _Timed(msgspec.Struct):
    ts_aligned_ns: int


def _time_ns(path: Path, offset: int) -> int:
    """Return the time of the row before an offset, of the first row at the beginning."""
    if offset:
        line = line_before(path, offset)
    else:
        with path.open("rb") as file:
            line = file.readline()
    return msgspec.json.decode(line, type=_Timed).ts_aligned_ns


def _beyond(reader: StreamReader[Any], offset: int, *, final: bool) -> LineBatch[Any]:
    """Return the first chunk that reaches beyond an offset, or one that does not if there is none."""
    found = reader.read()
    while found.end <= offset and not found.at_end:
        found = reader.read()
    return reader.flush_held() if found.end <= offset and final else found


def _take(batch: Batch, stream: _Stream, found: LineBatch[Any], offset: int) -> None:
    """Add what was found from an offset on. Bad raw lines are not added: muxd sets them aside."""
    for i, row in enumerate(found.rows):
        at = found.offset_of(i)
        if at >= offset and stream.takes(row):
            batch.records.append(Record(stream.name, at, row))
    if not stream.is_raw:
        batch.bad += [(stream.name, bad) for bad in found.bad]


def _check_length(path: Path, stream: _Stream, limit: int) -> None:
    if stream.is_raw:
        return  # a line that waits for the next one, or a file that was trimmed
    size = path.stat().st_size
    if size < limit:
        raise Transient(f"{path} has {size} bytes, expected the {limit} that are vouched for")
