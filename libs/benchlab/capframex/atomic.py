"""Output that appears whole or not at all: written as ``NAME.tmp``, which CapFrameX ignores, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from benchlab.errors import Fault
from benchlab.files import fsync_dir


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Give a text file that takes the name ``path`` when the block ends well, else nothing is left.

    Raises Fault (IO) naming the file when the folder is missing, read-only or full.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with _created(temporary) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        fsync_dir(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Fault(f"{path}: cannot be written: {error.strerror}; choose another place with --out") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _created(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")
