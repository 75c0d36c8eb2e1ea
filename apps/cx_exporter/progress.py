"""A progress bar for work that takes long, on a terminal only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

_PATIENCE_S = 1.0
_EVERY = 4096


class Progress:
    """Shows how far a loop is once it has taken a second; silent where ``out`` is no terminal.

    ``beat`` is called again and again while a loop goes on.
    """

    def __init__(
        self,
        out: TextIO,
        clock: Callable[[], float] = time.monotonic,
        beat: Callable[[], object] | None = None,
    ) -> None:
        self._out = out
        self._clock = clock
        self._beat = beat
        self._is_terminal = out.isatty()

    def track(self, items: Iterable[T], label: str, total: int, done: Callable[[], int] | None = None) -> Iterator[T]:
        """Yield the items; ``done()``, or else their number, of ``total`` is shown after some of them."""
        if not self._is_terminal:
            yield from items if self._beat is None else self._beating(items, self._beat)
            return
        began, bar = self._clock(), None
        try:
            for n, item in enumerate(items, 1):
                yield item
                if n % _EVERY:
                    continue
                if self._beat is not None:
                    self._beat()
                if bar is None and self._clock() - began > _PATIENCE_S:
                    bar = _bar(self._out)
                    task = bar.add_task(label, total=total)
                if bar is not None:
                    bar.update(task, completed=done() if done else n)
        finally:
            if bar is not None:
                bar.stop()

    def _beating(self, items: Iterable[T], beat: Callable[[], object]) -> Iterator[T]:
        for n, item in enumerate(items):
            if n % _EVERY == 0:
                beat()
            yield item


def _bar(out: TextIO) -> Any:
    from rich.console import Console  # heavy, and rarely needed
    from rich.progress import Progress as Bar

    bar = Bar(console=Console(file=out), transient=True)
    bar.start()
    return bar
