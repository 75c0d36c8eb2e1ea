"""The last samples, in a ring of fixed size: what /metrics/history shows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

from pimon.api.stats import Json

CAPACITY = 720
APART_S = 1.0
"""Samples closer together than this are not kept, so that one who asks often does not push the others out."""

COLUMNS = ("timestamp", "cpu_temp", "cpu_freq", "cpu_usage", "memory_percent", "swap_percent", "disk_percent", "load1")


class History:
    """Keeps the newest CAPACITY samples of what changes most."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lock = threading.Lock()
        self._rows: deque[tuple[float | None, ...]] = deque(maxlen=capacity)
        self._newest_s = float("-inf")

    def takes(self, began_s: float) -> bool:
        """Return whether a sample is far enough from the one before to be kept."""
        return began_s - self._newest_s >= APART_S

    def add(self, began_s: float, stats: Mapping[str, Json]) -> None:
        """Keep a sample, unless it is too close to the one before; ``began_s`` is on CLOCK_MONOTONIC."""
        with self._lock:
            if self.takes(began_s):
                self._newest_s = began_s
                self._rows.append(_row(stats))

    def newest(self, limit: int) -> list[dict[str, float | None]]:
        """Return the newest samples, the oldest of them first."""
        with self._lock:
            rows = list(self._rows)[-limit:]
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _row(stats: Mapping[str, Json]) -> tuple[float | None, ...]:
    shares = (stats[name].get("percent") for name in ("memory", "swap", "disk"))
    load = stats["load_avg"]
    return (*(stats[name] for name in COLUMNS[:4]), *shares, load[0] if load else None)
