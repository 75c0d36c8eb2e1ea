"""gpu.nvml, simulated: a made-up graphics card whose every reading is marked so.

All of it is a pure function of seed and time. Power is that of the shared load model plus a ripple of two
sines; both have a closed integral, so the energy counter is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from benchlab.daemon import Reading, Source
from benchlab.event import Value
from benchlab.sim import GPU_FULL_W, GPU_IDLE_W, NS, SEED, Chance, LoadModel
from telemetryd.sources import KERNEL_LANE, Options

COUNTER_PERIOD_NS = 7 * 86_400 * NS
"""The energy counter starts anew with the week: small enough that a float still resolves a microjoule."""

MEMORY_B = 24 << 30
_MEMORY_IDLE_B = 3 << 29
_MEMORY_LOADED_B = 14 << 30
_RIPPLES = ((1.7, 370_000_000), (0.9, 1_130_000_000))
"""Amplitude in watts and period in nanoseconds."""
_SLOT_NS = 50_000_000
_HEAT_S = 12.0
_IDLE_REASON, _POWER_CAP_REASON = 0x1, 0x4


class SimulatedGpu:
    """One graphics card under the load that all simulators share."""

    name = "gpu.nvml"
    lane = KERNEL_LANE  # it only computes, and so cannot block either

    def __init__(self, now_ns: Callable[[], int], load: LoadModel, seed: int = SEED, index: int = 0) -> None:
        self.dev = f"GPU-00000000-0000-4000-8000-{seed % (1 << 32):08x}{index:04x}"
        self._now_ns = now_ns
        self._model = load
        self._chance = Chance(seed, f"{self.name} {index}")
        self._counter_start_ns = now_ns() // COUNTER_PERIOD_NS * COUNTER_PERIOD_NS

    def sample(self) -> list[Reading]:
        """Return one reading, true at one instant."""
        ts_ns = self._now_ns()
        return [Reading(self.values(ts_ns), ts_ns=ts_ns, unc_ns=0, dev=self.dev, sim=True)]

    def values(self, ts_ns: int) -> dict[str, Value]:
        """Return what the card would read at a time of the timeline."""
        load = self._model.load(ts_ns)
        power_w = self.power_w(ts_ns)
        temp_c = 36.0 + 38.0 * self._model.heat(ts_ns, _HEAT_S)
        energy_j = self.energy_j(self._counter_start_ns, ts_ns)
        return {
            "gpu_util": self._percent(97.0 * load, 1.5, ts_ns, 0),
            "mem_util": self._percent(58.0 * load, 1.0, ts_ns, 1),
            "gpu_mem_used": _MEMORY_IDLE_B + int(_MEMORY_LOADED_B * load),
            "gpu_mem_total": MEMORY_B,
            "power_w": round(power_w, 3),
            "energy_j": round(energy_j, 6),
            "temp_c": float(round(temp_c)),
            "fan_pct": round(max(0.0, min(100.0, 30.0 + 1.6 * (temp_c - 45.0)))),
            "enc_util": self._percent(8.0 + 40.0 * load, 1.0, ts_ns, 2),
            "dec_util": self._percent(5.0 + 20.0 * load, 1.0, ts_ns, 3),
            "pcie_rx_kib_s": round(1e5 * (0.1 + load) * (1.0 + 0.02 * self._noise(ts_ns, 4))),
            "pcie_tx_kib_s": round(4e4 * (0.1 + load) * (1.0 + 0.02 * self._noise(ts_ns, 5))),
            **_clocks(load),
        }

    def power_w(self, ts_ns: int) -> float:
        """Return the power at a time in watts."""
        ripple = sum(watts * math.sin(_phase(ts_ns, period)) for watts, period in _RIPPLES)
        return self._model.power_w(ts_ns, GPU_IDLE_W, GPU_FULL_W) + ripple

    def energy_j(self, start_ns: int, end_ns: int) -> float:
        """Return the integral of power_w over [start_ns, end_ns] in joules."""
        steps = self._model.energy_j(start_ns, end_ns, GPU_IDLE_W, GPU_FULL_W)
        ripple = sum(
            watts * period / (math.tau * NS) * (math.cos(_phase(start_ns, period)) - math.cos(_phase(end_ns, period)))
            for watts, period in _RIPPLES
        )
        return steps + ripple

    def _percent(self, mean: float, spread: float, ts_ns: int, draw: int) -> float:
        return round(max(0.0, min(100.0, mean + spread * self._noise(ts_ns, draw))), 1)

    def _noise(self, ts_ns: int, draw: int) -> float:
        """Return chance between -1 and 1 that holds still for one slot of 50 ms."""
        return 2.0 * self._chance.uniform(ts_ns // _SLOT_NS, draw) - 1.0


def _phase(ts_ns: int, period_ns: int) -> float:
    return math.tau * (ts_ns % period_ns) / period_ns


def _clocks(load: float) -> dict[str, Value]:
    """Return clocks and what holds them down: idle at no load, the power cap at full load."""
    reasons = _IDLE_REASON if load == 0.0 else _POWER_CAP_REASON if load == 1.0 else 0
    return {
        "sm_clock_mhz": 210 if load == 0.0 else round((1500 + 450 * load) / 15) * 15,
        "mem_clock_mhz": 405 if load == 0.0 else 9501,
        "pstate": 8 if load == 0.0 else 2,
        "throttle_reasons": reasons,
    }


def sources(options: Options) -> list[Source]:
    """Return the card if devices are to be simulated."""
    if options.simulated is None:
        return []
    return [SimulatedGpu(options.now_ns, options.simulated, options.seed, options.device_index or 0)]
