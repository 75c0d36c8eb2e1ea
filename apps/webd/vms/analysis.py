"""What the numbers of a virtual machine say (docs/VMS.md): anomalies, a forecast, bottlenecks, sizes, with evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchlab.stats.anomaly import STEP_S, WARM_UP, Judged, judge
from benchlab.stats.bottleneck import bottlenecks
from benchlab.stats.forecast import exhaustion
from benchlab.stats.robust import Point
from benchlab.stats.sizing import LEAST_MINUTES, Sizing, size_cpu, size_memory

WINDOW_S = 86_400.0
OF_VCPUS = ("vcpu_delay_pct", "vcpu_wait_pct")
OF_SWAP = ("swap_in_kb_s", "swap_out_kb_s")
KEYS = ("cpu_pct", "memory_used_kb", "block_latency_ms", *OF_VCPUS, *OF_SWAP)
NEWEST = 5
"""So many anomalies are told, the newest."""

FROM_GUEST = "guest"
_FLOORS = {"cpu_pct": 2.0, "block_latency_ms": 1.0}
_MEMORY_FLOOR = 0.005
"""The least deviation of memory that is believed, as a share of all of it."""


def assess(kv: Mapping[str, Any], series: Mapping[str, Sequence[Point]], now_s: float) -> dict[str, Any]:
    """Return the analysis of one VM by its newest reading and its last day, all times in ms."""
    vcpus, memory_kb = _whole(kv.get("cpu_count")), _whole(kv.get("memory_max_kb"))
    return {
        "window_s": WINDOW_S,
        "anomalies": anomalies(series, memory_kb, now_s),
        "forecast": forecast(series.get("memory_used_kb", ()), memory_kb, now_s),
        "bottlenecks": hints(series, vcpus, now_s),
        "sizing": sizing(series, vcpus, memory_kb, kv.get("memory_used_from")),
    }


def anomalies(series: Mapping[str, Sequence[Point]], memory_kb: int, now_s: float) -> dict[str, Any]:
    """Return what was unusual, by key: the newest stretches, and whether one is under way."""
    floors = {**_FLOORS, "memory_used_kb": _MEMORY_FLOOR * memory_kb or 1024.0}
    return {key: _judged(judge(series[key], floor), now_s) for key, floor in floors.items() if series.get(key)}


def _judged(found: Judged, now_s: float) -> dict[str, Any]:
    told: dict[str, Any] = {"now": found.is_anomalous(now_s), "z": found.z, "minutes": found.minutes, "stretches": []}
    if found.minutes <= WARM_UP:
        told["why"] = f"found {found.minutes} minutes, expected more than {WARM_UP}"
    for one in found.anomalies[-NEWEST:]:
        times = {"from_ms": one.start_s * 1e3, "to_ms": one.end_s * 1e3}
        told["stretches"].append(
            {**times, "value": one.value, "usual": one.usual, "z": one.z, "direction": one.direction}
        )
    return told


def forecast(memory_kb: Sequence[Point], limit_kb: int, now_s: float) -> dict[str, Any]:
    """Return when memory is used up, as times in ms; null for never."""
    found = exhaustion(memory_kb, limit_kb)
    if found is None:
        return {"alarm": False, "why": "found less than half an hour of memory_used_kb, or no memory_max_kb"}
    ends = {"full_ms": found.left_s, "low_ms": found.low_s, "high_ms": found.high_s}
    return {
        "alarm": found.alarm,
        **{name: None if left_s is None else (now_s + left_s) * 1e3 for name, left_s in ends.items()},
        "limit_kb": limit_kb,
        "level_kb": found.level,
        "slope_kb_s": found.slope,
        "slope_low_kb_s": found.slope_low,
        "slope_high_kb_s": found.slope_high,
        "over_s": found.window_s,
    }


def hints(series: Mapping[str, Sequence[Point]], vcpus: int, now_s: float) -> list[dict[str, Any]]:
    """Return what holds the VM back, worst first; waiting is that of one vCPU, swapping what is known of both ways."""
    looked = {"block_latency_ms": series.get("block_latency_ms", ())}
    for key in OF_VCPUS if vcpus else ():
        looked[key] = [(at_s, value / vcpus) for at_s, value in series.get(key, ())]
    swapped: dict[float, float] = {}
    for key in OF_SWAP:
        for at_s, value in series.get(key, ()):
            swapped[at_s] = swapped.get(at_s, 0.0) + value
    looked["swap_kb_s"] = sorted(swapped.items())
    return [asdict(hint) for hint in bottlenecks(looked, now_s)]


def sizing(series: Mapping[str, Sequence[Point]], vcpus: int, memory_kb: int, known_from: object) -> dict[str, Any]:
    """Return how large the VM should be. What the host holds for it says nothing of what the guest needs."""
    too_little = {"advice": None, "why": f"found less than {LEAST_MINUTES // 60} h of it"}
    cpu = size_cpu(series.get("cpu_pct", ()), vcpus)
    told = {"cpu": _sized(cpu, "vcpus") if cpu else dict(too_little)}
    if known_from != FROM_GUEST:
        why = f"found memory_used_from {known_from!r}, expected {FROM_GUEST!r}: only the guest knows what it uses"
        return {**told, "memory": {"advice": None, "why": why}}
    memory = size_memory(series.get("memory_used_kb", ()), memory_kb)
    return {**told, "memory": _sized(memory, "kb") if memory else dict(too_little)}


def _sized(found: Sizing, unit: str) -> dict[str, Any]:
    return {
        "advice": found.advice,
        f"now_{unit}": found.now,
        f"recommended_{unit}": found.recommended,
        f"used_{unit}": found.used,
        "percentile": 95 if unit == "vcpus" else 99,
        "over_s": found.minutes * STEP_S,
        "at_least": found.at_least,
    }


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
