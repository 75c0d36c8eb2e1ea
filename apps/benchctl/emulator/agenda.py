"""What is to be done at a time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count


class Agenda:
    """Actions by the time they are due, in seconds; those of one time in the order in which they were put in."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, due_s: float, action: Callable[[], None]) -> None:
        """Put an action in."""
        heapq.heappush(self._entries, (due_s, next(self._number), action))

    def next_s(self) -> float:
        """Return when the next one is due, infinity if there is none."""
        return self._entries[0][0] if self._entries else float("inf")

    def due(self, now_s: float) -> Iterator[Callable[[], None]]:
        """Take out and yield what is due."""
        while self._entries and self._entries[0][0] <= now_s:
            yield heapq.heappop(self._entries)[2]

    def clear(self) -> None:
        """Forget all of it."""
        self._entries.clear()
