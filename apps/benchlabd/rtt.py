"""Round trips of a device: how long they take, and which of them were delayed.

The device has no clock that could be read. All that is known of a reading's time is that it was taken between the
request and the reply, so that half the round trip is how far off the middle can be. A shorter round trip seen at
another time narrows nothing, because nobody knows how it divides into way there and way back; but it tells which
exchanges something held up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil
from statistics import median
from typing import NamedTuple

BURST = 8
"""Cheap exchanges of a calibration, one after each reading, so that no reading waits for a burst."""
KEPT = 512
"""Round trips of readings that the distribution is made of, the newest."""


class Distribution(NamedTuple):
    """How round trips spread, in nanoseconds."""

    n: int
    min_ns: int
    median_ns: int
    p99_ns: int

    @classmethod
    def of(cls, trips_ns: Sequence[int]) -> Distribution:
        """Return the distribution of at least one round trip; the percentile is one that was measured."""
        ordered = sorted(trips_ns)
        rank = ceil(0.99 * len(ordered)) - 1
        return cls(len(ordered), ordered[0], round(median(ordered)), ordered[rank])

    def fields(self, prefix: str = "") -> dict[str, int]:
        """Return it as fields of a line of the log."""
        return {f"{prefix}{key}": value for key, value in self._asdict().items()}


class RoundTrips:
    """Collects round trips, and measures their distribution every ``interval_ns``."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._due_ns: int | None = None
        self._readings: deque[int] = deque(maxlen=KEPT)
        self._burst: list[int] = []
        self.delayed_from_ns: int | None = None

    def took(self, rtt_ns: int) -> bool:
        """Note the round trip of a reading; return whether something held it up.

        Delayed is what took longer than 99 in 100 of those before the last calibration, and than two common ones.
        """
        self._readings.append(rtt_ns)
        return self.delayed_from_ns is not None and rtt_ns > self.delayed_from_ns

    def is_due(self, now_ns: int) -> bool:
        """Return whether a calibration wants another cheap exchange now."""
        return self._due_ns is None or now_ns >= self._due_ns

    def probed(self, rtt_ns: int, now_ns: int) -> dict[str, int] | None:
        """Note the round trip of a cheap exchange; return what the calibration found when this was its last one.

        ``n min_ns median_ns p99_ns`` are of the cheap exchanges, with ``reading_`` before them of the readings.
        """
        self._burst.append(rtt_ns)
        if len(self._burst) < BURST:
            return None
        cheap, readings = Distribution.of(self._burst), Distribution.of(self._readings or self._burst)
        self._burst = []
        self._due_ns = now_ns + self._interval_ns
        self.delayed_from_ns = max(readings.p99_ns, 2 * readings.median_ns)
        return {**cheap.fields(), **readings.fields("reading_"), "delayed_from_ns": self.delayed_from_ns}
