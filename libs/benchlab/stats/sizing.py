"""How large a virtual machine should be, by what it used: a recommendation with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from benchlab.query.percentiles import percentile
from benchlab.stats.robust import Point, medians

STEP_S = 60.0
LEAST_MINUTES = 360
"""Six hours: whoever looks at less sees no more than a mood."""

CPU_TARGET = 0.7
"""How much of its vCPUs a VM should use in its busiest minutes (the 95th percentile)."""

CPU_FULL = 0.9
MEMORY_RESERVE = 1.25
"""How much memory a VM should have for each byte that it uses in its fullest minutes (the 99th percentile)."""

MEMORY_FULL = 0.95
MEMORY_STEP_KB = 256 * 1024
WORTH = 0.8
"""Less is recommended only where it is a fifth less."""


@dataclass(frozen=True)
class Sizing:
    """``advice`` is grow, shrink or keep; ``recommended`` the size, ``now`` that of today, ``used`` what it rests on.

    In vCPUs, or in KiB. ``at_least``: the VM used all it had, so that nobody knows how much it would use.
    """

    advice: str
    now: float
    recommended: float
    used: float
    minutes: int
    at_least: bool


def size_cpu(cpu_pct: Sequence[Point], vcpus: int) -> Sizing | None:
    """Return how many vCPUs a VM should have, by its use in percent of one; None with less than 6 h of it."""
    used = busiest(cpu_pct, 95)
    if used is None or vcpus < 1:
        return None
    cores, minutes = used[0] / 100, used[1]
    is_full = cores >= CPU_FULL * vcpus
    wanted = vcpus + max(1, vcpus // 2) if is_full else max(1, ceil(cores / CPU_TARGET - 1e-9))
    return sized(vcpus, wanted, cores, minutes, is_full)


def size_memory(used_kb: Sequence[Point], memory_kb: float) -> Sizing | None:
    """Return how much memory a VM should have, by what it used of it; None with less than 6 h of it."""
    used = busiest(used_kb, 99)
    if used is None or memory_kb <= 0:
        return None
    is_full = used[0] >= MEMORY_FULL * memory_kb
    wanted = 1.5 * memory_kb if is_full else MEMORY_RESERVE * used[0]
    return sized(memory_kb, ceil(wanted / MEMORY_STEP_KB) * MEMORY_STEP_KB, *used, is_full)


def sized(now: float, wanted: float, used: float, minutes: int, is_full: bool) -> Sizing:
    """Return the recommendation: a size that is hardly smaller is not worth a restart."""
    advice = "grow" if wanted > now else "shrink" if wanted <= WORTH * now else "keep"
    return Sizing(advice, now, now if advice == "keep" else wanted, used, minutes, is_full)


def busiest(points: Sequence[Point], p: float) -> tuple[float, int] | None:
    """Return a percentile of a series' minutes and how many these are, None for less than 6 h."""
    values = sorted(value for _, value in medians(points, STEP_S))
    return (percentile(values, p), len(values)) if len(values) >= LEAST_MINUTES else None
