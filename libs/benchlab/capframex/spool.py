"""Fixed-size records in a temporary file: what is read once can be gone through again, in bounded memory."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

_IN_MEMORY_BYTES = 16 * 1024 * 1024
_CHUNK_RECORDS = 16 * 1024


class Spool:
    """An append-only sequence of records; it leaves memory when it grows, and vanishes when closed.

    ``layout`` is a struct format. Raises OSError where the folder is full.
    """

    def __init__(self, layout: str, folder: Path) -> None:
        self._layout = struct.Struct(layout)
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115
        self._count = 0

    def append(self, *values: float) -> None:
        """Add one record."""
        self._file.write(self._layout.pack(*values))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for chunk in self.chunks():
            yield from self._layout.iter_unpack(chunk)

    def chunks(self) -> Iterator[bytes]:
        """Yield the records as they lie in the file, many at once."""
        size = self._layout.size * _CHUNK_RECORDS
        offset, end = 0, self._layout.size * self._count
        while offset < end:
            self._file.seek(offset)
            chunk = self._file.read(min(size, end - offset))
            offset += len(chunk)
            yield chunk

    def close(self) -> None:
        """Give the memory or the file back."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
