"""What holds a virtual machine back: waiting for a processor, slow block devices, swapping.

A hint, not a verdict: it names what was beyond its limit for most of the last quarter of an hour, worst first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchlab.stats.robust import Point, medians

STEP_S = 60.0
WINDOW_S = 900.0
LEAST_MINUTES = 5

LIMITS: dict[str, tuple[str, float, str]] = {
    "vcpu_delay": ("vcpu_delay_pct", 10.0, "% of its time each vCPU is ready and gets no processor of the host"),
    "vcpu_wait": ("vcpu_wait_pct", 10.0, "% of its time each vCPU waits, as the hypervisor counts it"),
    "block_latency": ("block_latency_ms", 20.0, "ms a request to its block devices takes"),
    "swap": ("swap_kb_s", 100.0, "KiB a second are moved between its memory and its swap space"),
}
"""By kind: the series, the value from which it counts, and what that means."""


@dataclass(frozen=True)
class Hint:
    """One thing that holds a VM back: the series, its usual value over the window, the limit, how often it was beyond.

    ``minutes`` is how many minutes were looked at.
    """

    kind: str
    key: str
    typical: float
    limit: float
    share_of_time: float
    minutes: int
    meaning: str


def bottlenecks(series: Mapping[str, Sequence[Point]], now_s: float) -> list[Hint]:
    """Return the hints, worst first. What concerns vCPUs is that of one, the mean over all of them."""
    found = []
    for kind, (key, limit, meaning) in LIMITS.items():
        points = [point for point in series.get(key, ()) if now_s - WINDOW_S <= point[0] <= now_s]
        values = [value for _, value in medians(points, STEP_S)]
        beyond = sum(value >= limit for value in values)
        if len(values) >= LEAST_MINUTES and 2 * beyond > len(values):
            share = beyond / len(values)
            found.append(Hint(kind, key, median(values), limit, share, len(values), meaning))
    return sorted(found, key=lambda hint: hint.typical / hint.limit, reverse=True)
