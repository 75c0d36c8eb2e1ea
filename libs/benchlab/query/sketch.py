"""How many values lie where, in logarithmic buckets: percentiles and histograms of any stretch, by adding sketches.

The buckets are those of DDSketch (Masson, Rim and Lee, VLDB 2019): each is ``GAMMA`` times as wide as the one before,
so that one value of it is at most ``ERROR`` of itself away from all the others. Sketches of parts add up to the sketch
of the whole, exactly.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

ERROR = 0.01
"""The relative error of a percentile. What is less than ``LEAST`` counts as 0."""

GAMMA = (1 + ERROR) / (1 - ERROR)
LEAST = 1e-6
MOST = 1e9

_LAST = math.ceil(math.log(MOST / LEAST, GAMMA))
_EDGES = [LEAST * GAMMA**i for i in range(_LAST + 1)]
_ENTRY = struct.Struct("<hI")


class Sketch:
    """Counts by bucket. Bucket 0 holds what is not above ``LEAST``, bucket i what is in (edge i-1, edge i]."""

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.counts: dict[int, int] = {}
        self.n = 0
        self._take(sorted(values))

    def _take(self, ordered: Sequence[float]) -> None:
        at = 0
        while at < len(ordered):
            bucket = min(bisect_left(_EDGES, ordered[at]), _LAST)
            behind = len(ordered) if bucket == _LAST else bisect_right(ordered, _EDGES[bucket], at)
            self.counts[bucket] = behind - at
            at = behind
        self.n = len(ordered)

    def add(self, other: Sketch) -> None:
        """Take the values of another sketch as well."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.n += other.n

    def encode(self) -> bytes:
        """Return the sketch as bytes: bucket (int16) and count (uint32) by turns, little-endian, buckets ascending."""
        return b"".join(_ENTRY.pack(*entry) for entry in sorted(self.counts.items()))

    def add_encoded(self, data: bytes) -> None:
        """Take the values of a sketch that was encoded. Raises struct.error for what is none."""
        counts, n = self.counts, 0
        for bucket, count in _ENTRY.iter_unpack(data):
            counts[bucket] = counts.get(bucket, 0) + count
            n += count
        self.n += n

    def percentile(self, p: float, low: float, high: float) -> float:
        """Return the ``p``-th percentile (type 7, as benchlab.query.percentiles) within ``ERROR`` of itself.

        ``low`` and ``high`` are the least and the greatest value. Raises ValueError when there is no value.
        """
        if not self.n:
            raise ValueError("percentile of no values")
        rank = p / 100 * (self.n - 1)
        below = math.floor(rank)
        a, b = (min(max(value, low), high) for value in self._at(below, min(below + 1, self.n - 1)))
        return a + (b - a) * (rank - below)

    def _at(self, first: int, second: int) -> tuple[float, float]:
        """Return about the value of rank ``first`` and of ``second``, which is not less."""
        found: list[float] = []
        seen = 0
        for bucket, count in sorted(self.counts.items()):
            seen += count
            while len(found) < 2 and (first, second)[len(found)] < seen:
                found.append(_EDGES[bucket] * (1 - ERROR) if bucket else 0.0)
            if len(found) == 2:
                break
        return found[0], found[1]

    def histogram(self, bins: int) -> tuple[list[float], list[int]]:
        """Return the edges (one more than bins) and counts of at most ``bins`` bins of equal ratio; none of no values.

        The counts are exact: bins are made of whole buckets.
        """
        if not self.n:
            return [], []
        first, last = min(self.counts), max(self.counts)
        step = max(1, math.ceil((last - first + 1) / bins))
        counts = [0] * math.ceil((last - first + 1) / step)
        for bucket, count in self.counts.items():
            counts[(bucket - first) // step] += count
        edges = [
            _EDGES[min(first - 1 + i * step, _LAST)] if first - 1 + i * step >= 0 else 0.0
            for i in range(len(counts) + 1)
        ]
        return edges, counts
