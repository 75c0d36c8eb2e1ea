"""Cursors: where a viewer stands in a session's rows, and whether that place is still the same."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from benchlab.session_find import can_be_name

REACH = 256  # bytes before the offset by which it is known again: more than the end that rows have in common


@dataclass(frozen=True)
class Cursor:
    """A place in a session's rows, known by the bytes before it: ``<session>.<generation>.<offset>.<CRC-32>``."""

    session: str
    generation: int
    offset: int
    crc: int

    def __str__(self) -> str:
        return f"{self.session}.{self.generation}.{self.offset}.{self.crc:08x}"


def parse(text: str | None) -> Cursor | None:
    """Return a cursor that somebody gave back; None for what cannot be one, which begins anew."""
    parts = (text or "").rsplit(".", 3)
    if len(parts) != 4 or not can_be_name(parts[0]):
        return None
    session, generation, offset, crc = parts
    if not (generation.isascii() and generation.isdigit() and offset.isascii() and offset.isdigit()):
        return None
    if len(generation) > 19 or len(offset) > 19 or len(crc) != 8 or set(crc) - set("0123456789abcdef"):
        return None
    return Cursor(session, int(generation), int(offset), int(crc, 16))


def crc_before(path: Path, offset: int) -> int | None:
    """Return the CRC-32 of the bytes before an offset; None where the file does not reach there."""
    length = min(REACH, offset)
    data = read_range(path, offset - length, offset)
    return zlib.crc32(data) if len(data) == length else None


def read_range(path: Path, start: int, end: int) -> bytes:
    """Return the bytes of a file from ``start`` to ``end``, as far as they are there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(fd, end - start, start)
    except OSError:
        return b""
    finally:
        os.close(fd)
