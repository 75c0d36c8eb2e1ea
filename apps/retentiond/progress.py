"""A progress bar over the sessions, where somebody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

OnSession = Callable[[int, int], None]
"""Is told how many of all sessions have been seen to."""


@contextmanager
def progress(out: TextIO) -> Iterator[OnSession]:
    """Yield what to tell the progress to; it is shown if ``out`` is a terminal, and leaves no trace there."""
    if not out.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=out), transient=True) as bar:
        task = bar.add_task("sessions", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
