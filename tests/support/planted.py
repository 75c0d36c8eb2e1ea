"""Series of a day in which it is known what is wrong, and series in which nothing is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchlab.stats.robust import Point

DAY_S = 86_400.0
MEMORY_KB = 8 * 1024 * 1024


def noise(random: Random, count: int, together: float = 0.0) -> list[float]:
    """Return normal values of standard deviation 1, each hanging together with the one before."""
    value, found = random.gauss(0, 1), []
    for _ in range(count):
        value = together * value + math.sqrt(1 - together * together) * random.gauss(0, 1)
        found.append(value)
    return found


@dataclass
class Planted:
    """A VM's day: what was planted and when it began, processor use in percent of one, memory, block latency."""

    kind: str
    start_s: float
    cpu_pct: list[Point]
    memory_kb: list[Point]
    latency_ms: list[Point]
    full_in_s: float = math.inf


def plant(kind: str, random: Random, period_s: float = 30.0) -> Planted:
    """Return a day of a VM with two vCPUs that is ``healthy``, or has a ``leak``, a ``spike`` or a ``stall``."""
    times = [period_s * step for step in range(int(DAY_S / period_s))]
    together, phase = random.choice([0.0, 0.5, 0.9]), random.uniform(0, math.tau)
    rhythm = [math.sin(math.tau * at_s / DAY_S + phase) for at_s in times]
    load, swing, sigma = random.uniform(40, 90), random.uniform(0, 20), random.uniform(1.5, 4)
    cpu = [load + swing * r + sigma * n for r, n in zip(rhythm, noise(random, len(times), together), strict=True)]
    held, breath = random.uniform(0.3, 0.6) * MEMORY_KB, random.uniform(0, 0.04) * MEMORY_KB
    grain = random.uniform(0.001, 0.006) * MEMORY_KB
    memory = [held + breath * r + grain * n for r, n in zip(rhythm, noise(random, len(times), together), strict=True)]
    latency = [abs(2 + 0.4 * n) for n in noise(random, len(times), together)]
    found = Planted(kind, 0.0, [], [], [])
    change: dict[str, Callable[[], None]] = {
        "leak": lambda: leak(
            random, found, times, memory, lambda s: held + breath * math.sin(math.tau * s / DAY_S + phase)
        ),
        "spike": lambda: spike(random, found, times, cpu, sigma),
        "stall": lambda: stall(random, found, times, cpu, latency),
        "healthy": lambda: None,
    }
    change[kind]()
    for series, values in ((found.cpu_pct, cpu), (found.memory_kb, memory), (found.latency_ms, latency)):
        series += zip(times, (max(0.0, value) for value in values), strict=True)
    return found


def leak(
    random: Random, found: Planted, times: list[float], memory: list[float], usual: Callable[[float], float]
) -> None:
    """Let memory grow in a straight line on top of its rhythm, from some hour on, until after the day it is used up."""
    found.start_s = random.choice([0.0, 0.5, 0.7]) * DAY_S
    lasted_s = DAY_S - found.start_s
    pace = (MEMORY_KB - usual(DAY_S)) / (lasted_s * random.uniform(1.1, 1.7))
    for step, at_s in enumerate(times):
        memory[step] += pace * max(0.0, at_s - found.start_s)
    ahead = (60.0 * minute for minute in range(14 * 1440))
    full = (s for s in ahead if usual(DAY_S + s) + pace * (lasted_s + s) >= MEMORY_KB)
    found.full_in_s = next(full)


def spike(random: Random, found: Planted, times: list[float], cpu: list[float], sigma: float) -> None:
    """Let the use of the processor leap for some minutes."""
    found.start_s = random.uniform(4 * 3600, DAY_S - 1200)
    end_s, height = found.start_s + random.uniform(240, 900), random.uniform(15, 25) * sigma
    for step, at_s in enumerate(times):
        cpu[step] += height if found.start_s <= at_s < end_s else 0.0


def stall(random: Random, found: Planted, times: list[float], cpu: list[float], latency: list[float]) -> None:
    """Let the VM do next to nothing for some minutes, because its block device hardly answers."""
    found.start_s = random.uniform(4 * 3600, DAY_S - 1200)
    end_s = found.start_s + random.uniform(240, 900)
    for step, at_s in enumerate(times):
        if found.start_s <= at_s < end_s:
            cpu[step], latency[step] = abs(random.gauss(0.5, 0.5)), random.uniform(80, 2000)
