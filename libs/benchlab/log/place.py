"""A place in a file of lines, known again by the line before it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchlab.log.lines import MAX_LINE

_FIRST_LOOK = 4096
_DIGEST_BYTES = 8


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
