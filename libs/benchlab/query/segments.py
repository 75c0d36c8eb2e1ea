"""An aligned file in segments: the lines that begin in the same half MiB, and so the same whoever reads when.

What an index says of a segment is a function of the file's bytes alone. Only whole segments that muxd vouches for are
indexed; what lies beyond is read anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchlab.log.reader import Batch, RawChanged, StreamReader
from benchlab.log.tail import line_start
from benchlab.log.vouched import read_vouched

T = TypeVar("T")

SEGMENT_BYTES = 512 * 1024

Range = tuple[int, int]
"""Bytes from the first to behind the last, both where a line begins."""


@dataclass(frozen=True)
class Extent:
    """An aligned file as it is now.

    ``settled`` bytes will not change within the generation; ``identity`` is another one when the file was replaced.
    """

    size: int
    settled: int
    generation: int
    identity: tuple[int, int, int]
    mtime_ns: int
    final: bool

    @property
    def is_provisional(self) -> bool:
        """Tell whether the file holds rows that muxd may still decide again."""
        return self.size > self.settled


def extent(session_dir: Path, name: str) -> Extent:
    """Return how far an aligned file reaches, and how far muxd vouches for it; a missing file is empty.

    Without a checkpoint, as in a folder that somebody put together, all of it counts as settled.
    """
    vouched = read_vouched(session_dir / "state")
    generation = vouched.generation if vouched else 0
    final = vouched is not None and vouched.final
    try:
        status = (session_dir / "aligned" / name).stat()
    except OSError:
        return Extent(0, 0, generation, (0, 0, generation), 0, final)
    settled = status.st_size if vouched is None else min(status.st_size, vouched.outputs.get(name, 0))
    if vouched is not None and vouched.rebuilding:
        settled = 0
    identity = (status.st_dev, status.st_ino, generation)
    return Extent(status.st_size, settled, generation, identity, status.st_mtime_ns, final)


def check_unchanged(session_dir: Path, name: str, before: Extent) -> None:
    """Raise RawChanged if an aligned file was replaced, or cut, since ``before``: what was read is of two files."""
    now = extent(session_dir, name)
    if now.identity != before.identity or now.size < before.settled:
        raise RawChanged(session_dir / "aligned" / name, "replaced", before.size)


def next_segment(path: Path, number: int, start: int, settled: int, segment_bytes: int) -> Range | None:
    """Return the bytes of a segment that begins at ``start``; None while it is not all there and settled.

    Raises OSError.
    """
    border = (number + 1) * segment_bytes
    if border > settled:
        return None
    end = max(start, line_start(path, border))
    if end > settled or not _ends_line(path, end):
        return None
    return start, end


def _ends_line(path: Path, offset: int) -> bool:
    with path.open("rb") as file:
        return os.pread(file.fileno(), 1, offset - 1) == b"\n"


def read_range(path: Path, row_type: type[T], where: Range) -> Iterator[Batch[T]]:
    """Yield the rows between two offsets. Raises RawChanged when the file is cut short or gone, Fault (IO)."""
    start, end = where
    if start >= end:
        return
    with StreamReader(path, row_type, start, limit=end) as reader:
        at_end = False
        while not at_end and reader.offset < end:
            batch = reader.read()
            at_end = batch.at_end
            yield batch


def joined(ranges: list[Range]) -> list[Range]:
    """Return ranges in ascending order with those that touch made one."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found
