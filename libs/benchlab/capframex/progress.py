"""How an export tells how far it is: to whoever asked for it, or to nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Watches loops."""

    def track(self, items: Iterable[T], label: str, total: int, done: Callable[[], int] | None = None) -> Iterator[T]:
        """Yield the items; ``done()``, or else their number, of ``total`` is how far the loop is."""
        ...


class Untold:
    """Watches nothing."""

    def track(self, items: Iterable[T], label: str, total: int, done: Callable[[], int] | None = None) -> Iterator[T]:
        """Yield the items."""
        yield from items
