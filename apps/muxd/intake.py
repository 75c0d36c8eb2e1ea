"""The raw files of a session as the engine's input: found, read, and judged for whether more may come."""

from __future__ import annotations

import time
from pathlib import Path

from benchlab.event import Event
from benchlab.log.reader import Batch, ReaderState, StreamReader
from muxd.streams import Hold

CHUNK_BYTES = 64 * 1024

_SAME_TICK_NS = 100_000_000  # a folder's time moves in steps: two files may come in one of them


class RawStream:
    """One file being followed. ``exhausted``: no whole line was left when it was last read."""

    def __init__(self, path: Path, now_ns: int) -> None:
        self._path = path
        self.reader: StreamReader[Event] = StreamReader(path, Event, chunk_bytes=CHUNK_BYTES)
        self.exhausted = False
        self._size = -1
        self._fed_ns = now_ns

    def look(self, now_ns: int) -> None:
        """Notice new bytes by the file's size."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            size = -1  # the next read says what is wrong
        if size != self._size:
            self._size = size
            self._fed_ns = now_ns
            self.exhausted = False

    def read(self) -> Batch[Event]:
        """Return the next lines. Raises RawChanged, Fault."""
        batch = self.reader.read()
        self.exhausted = batch.at_end
        return batch

    def flush(self) -> Batch[Event]:
        """Return what a file that will not grow had left undecided."""
        return self.reader.flush_held()

    def lag_bytes(self) -> int:
        """Return how many of the bytes seen were not taken yet."""
        return max(0, self._size - self.reader.offset)

    def hold(self, now_ns: int, patience_ns: int) -> Hold:
        """Tell whether the time has to wait for this stream."""
        if not self.exhausted:
            return Hold.UNREAD
        return Hold.WAITED_FOR if now_ns - self._fed_ns <= patience_ns else Hold.EXCUSED


class Intake:
    """All streams of a session by name. ``patience_ns`` is how long a silent writer is waited for."""

    def __init__(self, raw_dir: Path, patience_ns: int) -> None:
        self._dir = raw_dir
        self._patience_ns = patience_ns
        self.streams: dict[str, RawStream] = {}
        self._listed_ns = -1

    def restore(self, name: str, state: ReaderState, now_ns: int) -> None:
        """Go on with a stream where a checkpoint left it. Raises RawChanged."""
        self._open(name, now_ns).reader.restore(state)

    def look(self, now_ns: int) -> None:
        """Notice new files and new bytes."""
        changed_ns = self._dir.stat().st_mtime_ns
        if changed_ns != self._listed_ns:
            is_over = time.time_ns() - changed_ns > _SAME_TICK_NS
            self._listed_ns = changed_ns if is_over else -1
            for path in sorted(self._dir.glob("*.jsonl")):
                if path.name not in self.streams:
                    self._open(path.name, now_ns)
        for stream in self.streams.values():
            stream.look(now_ns)

    def unread(self) -> list[str]:
        """Return the names of the streams that have lines to read."""
        return [name for name, stream in self.streams.items() if not stream.exhausted]

    def holds(self, now_ns: int) -> dict[str, Hold]:
        """Return for each stream whether the time has to wait for it."""
        return {name: stream.hold(now_ns, self._patience_ns) for name, stream in self.streams.items()}

    def lag_bytes(self) -> dict[str, int]:
        """Return how many bytes of each stream were seen but not taken."""
        return {name: stream.lag_bytes() for name, stream in self.streams.items()}

    def sync(self) -> None:
        """Make what was read durable. Raises OSError."""
        for stream in list(self.streams.values()):
            stream.reader.sync()

    def close(self) -> None:
        """Close all files."""
        for stream in self.streams.values():
            stream.reader.close()

    def _open(self, name: str, now_ns: int) -> RawStream:
        stream = self.streams[name] = RawStream(self._dir / name, now_ns)
        return stream
