"""A progress bar for long work, where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchlab.session import Session
from muxd.opening import Progress


@contextmanager
def progress_of(session: Session, what: str) -> Iterator[Progress | None]:
    """Yield what to tell the bytes of raw/ to; None unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    total = sum(path.stat().st_size for path in session.raw.glob("*.jsonl"))
    with Bar(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda size: bar.advance(task, size)
