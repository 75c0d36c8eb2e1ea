"""The end of a file of lines, read in bounded time and memory however long the file is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from benchlab.event import META, Event
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.log.tail import line_start

T = TypeVar("T")

_MARK = b'"%s"' % META.encode()
_decoder = msgspec.json.Decoder(Event)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def last_rows(path: Path, kind: type[T], most_bytes: int) -> list[T]:
    """Return the rows in the last bytes of a file, bad lines left out; a file that is gone has none.

    Raises Fault (IO) if it cannot be read.
    """
    return list(each_last_row(path, kind, most_bytes))


def each_last_row(path: Path, kind: type[T], most_bytes: int) -> Iterator[T]:
    """Yield what ``last_rows`` returns, a few rows at a time: as objects they take many times their bytes."""
    size = size_of(path)
    try:
        start = line_start(path, max(0, size - most_bytes)) if size else 0
        with StreamReader(path, kind, start, limit=size, guard_time=False) as reader:
            at_end = not size
            while not at_end:
                batch = reader.read()
                yield from batch.rows
                at_end = batch.at_end
    except (FileNotFoundError, RawChanged):
        return  # its owner replaced it meanwhile: what was read so far was there


def meta_lines(path: Path, start: int, length: int) -> Iterator[Event]:
    """Yield what a stream tells of itself in a part of its file, which need not begin or end with a line.

    The bytes are searched, not decoded: that is quick for the megabytes of readings between two such lines.
    """
    data = _read(path, start, length)
    position = data.find(_MARK)
    while position >= 0:
        end = data.find(b"\n", position)
        if end < 0:
            return
        event = _decoded(data[data.rfind(b"\n", 0, position) + 1 : end])
        if event is not None and event.source == META:
            yield event
        position = data.find(_MARK, end)


def _read(path: Path, start: int, length: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, max(0, length), start)
    finally:
        os.close(fd)


def _decoded(line: bytes) -> Event | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
