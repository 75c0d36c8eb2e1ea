"""What all simulators share: one load that every one of them computes alike, and repeatable chance.

Everything here is a pure function of a seed and a time or a number. Simulated programs therefore agree with
each other without talking, and a restarted one goes on as if it had never stopped.
"""

from __future__ import annotations

import math
from zlib import crc32

NS = 1_000_000_000

SEED = 1
LOAD_STEP_S = 20.0
POWER_LAG_MS = 100.0

SYSTEM_IDLE_W = 92.0
SYSTEM_FULL_W = 400.0
"""What the simulated computer draws from its power supply; 246 W on average."""
GPU_IDLE_W = 25.0
GPU_FULL_W = 260.0
"""What its graphics card draws, slot included."""

Z_99 = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""

_MASK = (1 << 64) - 1
_LEVELS = 8
_TOP = _LEVELS - 1
_BLOCKS_KEPT = 4  # an energy counter asks for its first block and the present one by turns
_MEMORY_TAUS = 8.0


class Chance:
    """Repeatable random numbers: a pure function of (seed, salt, number, draw), so that no order matters.

    ``salt`` keeps simulators apart that run with the same seed.
    """

    def __init__(self, seed: int, salt: str) -> None:
        self._key = _mix((seed << 32) ^ crc32(salt.encode()))

    def uniform(self, number: int, draw: int = 0) -> float:
        """Return a number in (0, 1), evenly distributed."""
        bits = _mix(_mix(self._key ^ (number & _MASK)) + draw)
        return ((bits >> 11) + 0.5) * 2.0**-53

    def normal(self, number: int, draw: int = 0) -> float:
        """Return a number from the standard normal distribution (Box and Muller)."""
        radius = math.sqrt(-2.0 * math.log(self.uniform(number, 2 * draw)))
        return radius * math.cos(2.0 * math.pi * self.uniform(number, 2 * draw + 1))


class LogNormal:
    """The log-normal distribution that has this median and this 99th percentile.

    Raises ValueError unless 0 < median <= p99.
    """

    def __init__(self, median: float, p99: float) -> None:
        if not 0.0 < median <= p99 < math.inf:
            raise ValueError(f"expected 0 < median <= p99, found median {median:g} and p99 {p99:g}")
        self.mu = math.log(median)
        self.sigma = math.log(p99 / median) / Z_99

    def at(self, z: float) -> float:
        """Return the value that lies ``z`` standard deviations from the median."""
        return math.exp(self.mu + self.sigma * z)


class LoadModel:
    """The simulated computer's load: a step every ``step_s`` seconds, and power that follows it a lag behind.

    Eight steps make a block, in which each of eight even levels from 0 to 1 comes once, low and high by
    turns: every step is visible, every block covers the whole range, and because all blocks weigh the same,
    energy over any span is exact at no cost. Times are nanoseconds of the timeline.
    Raises ValueError for a step under 1 ms or a negative lag.
    """

    def __init__(self, seed: int = SEED, step_s: float = LOAD_STEP_S, lag_ms: float = POWER_LAG_MS) -> None:
        if not 0.001 <= step_s < math.inf or not 0.0 <= lag_ms < math.inf:
            raise ValueError(f"expected a step of at least 0.001 s and a lag >= 0 ms, found {step_s:g} and {lag_ms:g}")
        self._chance = Chance(seed, "load")
        self._step_ns = round(step_s * NS)
        self.lag_ns = round(lag_ms * 1e6)
        self._blocks: dict[int, tuple[int, ...]] = {}
        self._heats: dict[float, tuple[int, float]] = {}

    def load(self, ts_ns: int) -> float:
        """Return the load at a time, from 0 (idle) to 1 (full)."""
        return self._level(ts_ns // self._step_ns) / _TOP

    def power_w(self, ts_ns: int, idle_w: float = SYSTEM_IDLE_W, full_w: float = SYSTEM_FULL_W) -> float:
        """Return the power at a time in watts: that of the load one lag earlier."""
        return idle_w + (full_w - idle_w) * self.load(ts_ns - self.lag_ns)

    def energy_j(
        self, start_ns: int, end_ns: int, idle_w: float = SYSTEM_IDLE_W, full_w: float = SYSTEM_FULL_W
    ) -> float:
        """Return the integral of power_w over [start_ns, end_ns] in joules, exact but for rounding."""
        loaded = self._area(end_ns - self.lag_ns) - self._area(start_ns - self.lag_ns)
        return (idle_w * (end_ns - start_ns) + (full_w - idle_w) * loaded / _TOP) / NS

    def heat(self, ts_ns: int, tau_s: float) -> float:
        """Return the load, 0 to 1, as a thermal mass with this time constant (> 0 s) shows it."""
        step, into_ns = divmod(ts_ns - self.lag_ns, self._step_ns)
        known = self._heats.get(tau_s)
        if known is None or known[0] != step:
            known = self._heats[tau_s] = (step, self._heat_before(step, tau_s))
        level = self._level(step) / _TOP
        return level + (known[1] - level) * math.exp(-into_ns / (tau_s * NS))

    def _heat_before(self, step: int, tau_s: float) -> float:
        """Return the heat at the start of a step; older steps than the memory count as half load."""
        keep = math.exp(-self._step_ns / (tau_s * NS))
        heat = 0.5
        for past in range(step - math.ceil(_MEMORY_TAUS * tau_s * NS / self._step_ns), step):
            heat = heat * keep + self._level(past) / _TOP * (1.0 - keep)
        return heat

    def _level(self, step: int) -> int:
        block, index = divmod(step, _LEVELS)
        return self._levels(block)[index]

    def _levels(self, block: int) -> tuple[int, ...]:
        """Return the levels of a block's steps, 0 to 7: low and high halves by turns, each shuffled."""
        levels = self._blocks.get(block)
        if levels is None:
            shuffled = sorted(range(_LEVELS), key=lambda level: self._chance.uniform(block, level))
            low = [level for level in shuffled if level < _LEVELS // 2]
            high = [level for level in shuffled if level >= _LEVELS // 2]
            levels = tuple(level for pair in zip(low, high, strict=True) for level in pair)
            if len(self._blocks) >= _BLOCKS_KEPT:
                self._blocks = {}
            self._blocks[block] = levels
        return levels

    def _area(self, ts_ns: int) -> int:
        """Return the integral of the level from time 0, in level-nanoseconds."""
        step, into_ns = divmod(ts_ns, self._step_ns)
        block, index = divmod(step, _LEVELS)
        levels = self._levels(block)
        whole = block * sum(range(_LEVELS)) + sum(levels[:index])
        return whole * self._step_ns + levels[index] * into_ns


def _mix(value: int) -> int:
    """Scramble 64 bits so that neighbours have nothing in common (SplitMix64: Steele, Lea and Flood 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
