"""Where a reader of the log stands, in a way that shows if the log was replaced behind its back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from benchlab.files import make_dir, write_atomic
from benchlab.log.lines import MAX_LINE

_FIRST_LOOK = 4096
_DIGEST_BYTES = 8


class Cursor(msgspec.Struct, frozen=True):
    """Everything before ``offset`` is stored; ``hash`` is that of the line that ends there, "" at the beginning."""

    generation: int
    offset: int
    hash: str


Cursors = dict[str, Cursor]
"""By stream. A stream that is missing was not read yet."""


def line_before(path: Path, offset: int) -> bytes:
    """Return the line that ends at ``offset``, without its newline; of an oversized one the end. Raises OSError."""
    with path.open("rb") as file:
        back = _FIRST_LOOK
        while True:
            start = max(0, offset - back)
            file.seek(start)
            data = file.read(offset - start).removesuffix(b"\n")
            cut = data.rfind(b"\n") + 1
            if cut or start == 0 or back > MAX_LINE:
                return data[cut:]
            back *= 8


def hash_before(path: Path, offset: int) -> str:
    """Return the BLAKE2b hash of the line that ends at ``offset``, "" at the beginning. Raises OSError.

    The whole line counts: the ends of rows are often alike.
    """
    if offset == 0:
        return ""
    return hashlib.blake2b(line_before(path, offset), digest_size=_DIGEST_BYTES).hexdigest()


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
