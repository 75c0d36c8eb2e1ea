"""Where a reader of the log stands, in a way that shows if the log was replaced behind its back."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchlab.files import make_dir, write_atomic


class Cursor(msgspec.Struct, frozen=True):
    """Everything before ``offset`` is stored; ``hash`` is that of the line that ends there, "" at the beginning."""

    generation: int
    offset: int
    hash: str


Cursors = dict[str, Cursor]
"""By stream. A stream that is missing was not read yet."""


class FileCursors:
    """Cursors in ``state/sinks/<sink>.json``, for sinks whose store cannot hold them."""

    def __init__(self, state_dir: Path, sink: str) -> None:
        self._path = state_dir / "sinks" / f"{sink}.json"

    def load(self) -> Cursors:
        """Return what was saved last; nothing if there is no telling."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Cursors)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    def save(self, cursors: Cursors) -> None:
        """Replace them durably. Raises OSError."""
        make_dir(self._path.parent)
        write_atomic(self._path, msgspec.json.encode(cursors, order="deterministic"))

    def clear(self) -> None:
        """Forget them. Raises OSError."""
        self._path.unlink(missing_ok=True)
