"""A secret in a file of its own: its first line."""

from __future__ import annotations

import stat
from pathlib import Path

from benchlab.errors import Exit, Fault


def read_token(path: Path) -> str:
    """Return the token of a file. Raises Fault (CONFIG) if there is none, or if everybody may read it."""
    try:
        if path.stat().st_mode & stat.S_IROTH:
            raise Fault(f"{path}: found a token that everybody may read, expected: chmod o-r {path}", Exit.CONFIG)
        first, _, _ = path.read_text().partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise Fault(f"{path}: the token cannot be read ({reason})", Exit.CONFIG) from error
    if not first.strip():
        raise Fault(f"{path}: found nothing in its first line, expected the token", Exit.CONFIG)
    return first.strip()
