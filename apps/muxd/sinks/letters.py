"""Dead letters: the records a sink refused, each of them once, in ``quarantine/<sink>.jsonl``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchlab.event import encode_lines
from benchlab.files import FILE_MODE, make_dir, share
from muxd.sinks.cursor import Cursors


class DeadLetter(msgspec.Struct, omit_defaults=True):
    """A record that a sink did not take, why, and where it stands in the log.

    ``head`` is how a line begins that is no row at all.
    """

    generation: int
    stream: str
    offset: int
    reason: str
    detail: str = ""
    event: Any = None  # Event or Aligned; decoded, their fields
    head: str = ""


class _Place(msgspec.Struct):
    generation: int
    stream: str
    offset: int

    def is_covered(self, cursors: Cursors) -> bool:
        cursor = cursors.get(self.stream)
        return cursor is not None and cursor.generation == self.generation and self.offset < cursor.offset


class DeadLetters:
    """Appends letters before the cursor moves past them, and cuts off those the cursor never came to.

    So a crash between the two leaves each letter there once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """Add letters, all or none, durably. Raises OSError."""
        make_dir(self._path.parent)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        try:
            share(fd)
            length = os.fstat(fd).st_size
            data = encode_lines(letters)
            try:
                if os.write(fd, data) < len(data):
                    raise OSError(f"{self._path}: no room for {len(data)} bytes")
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, length)
                raise
        finally:
            os.close(fd)

    def cut(self, cursors: Cursors) -> None:
        """Drop the letters that belong to records not yet passed; they will be written again. Raises OSError."""
        try:
            file = self._path.open("rb+")
        except FileNotFoundError:
            return
        with file:
            keep = 0
            for line in file:
                if not _is_kept(line, cursors):
                    file.truncate(keep)
                    return
                keep += len(line)


def _is_kept(line: bytes, cursors: Cursors) -> bool:
    try:
        return line.endswith(b"\n") and msgspec.json.decode(line, type=_Place).is_covered(cursors)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
