"""One sample for everybody who asks at about the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

APART_S = 0.1
"""Samples are at least so far apart: shares of less time than this say nothing, however often somebody asks."""
STALE_S = 10.0
WARM_UP_S = 0.25
"""Shares are those since the sample before. After STALE_S without one, two are taken, WARM_UP_S apart."""


@dataclass(frozen=True)
class Taken(Generic[T]):
    """A sample: ``began_s`` on CLOCK_MONOTONIC, ``timestamp`` in epoch seconds."""

    value: T
    began_s: float
    timestamp: float


class Shared(Generic[T]):
    """Takes samples with ``take``, one at a time, and gives each to all who wait for it."""

    def __init__(
        self,
        take: Callable[[], T],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._take = take
        self._clock = clock
        self._wait = wait
        self._changed = threading.Condition()
        self._is_taking = False
        self._newest: Taken[T] | None = None
        self._own_s: float | None = None

    def get(self, max_age_s: float) -> Taken[T]:
        """Return a sample that was begun at most ``max_age_s`` before this call; 0: after it."""
        oldest_s = self._clock() - max_age_s
        with self._changed:
            while self._newest is None or self._newest.began_s < oldest_s:
                if not self._is_taking:
                    self._is_taking = True
                    break
                self._changed.wait()
            else:
                return self._newest
        return self._take_for_all()

    def offer(self, value: T) -> Taken[T]:
        """Share a sample that somebody else has just taken."""
        taken = Taken(value, self._clock(), time.time())
        with self._changed:
            self._newest = taken
            self._changed.notify_all()
        return taken

    def _take_for_all(self) -> Taken[T]:
        taken = None
        try:
            self._keep_apart()
            began_s, timestamp = self._clock(), time.time()
            taken = Taken(self._take(), began_s, timestamp)
            self._own_s = began_s
        finally:
            with self._changed:
                self._newest = taken or self._newest
                self._is_taking = False
                self._changed.notify_all()
        return taken

    def _keep_apart(self) -> None:
        """Wait until the sample before is long enough ago; take one where it is too long ago."""
        since_s = STALE_S if self._own_s is None else self._clock() - self._own_s
        if since_s >= STALE_S:
            self._take()
            self._wait(WARM_UP_S)
        elif since_s < APART_S:
            self._wait(APART_S - since_s)
