"""What is derived of a machine from two samples: how its memory grows, and how much processor it uses."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, degrees

_FLAT = 1e-12


@dataclass(frozen=True)
class Point:
    """What features are made of. ``run`` is the machine's number, another one after every start."""

    ts_ns: int
    run: int
    memory_used_kb: int | None = None
    memory_used_from: str | None = None
    cputime_ns: int | None = None


def features(before: Point | None, now: Point) -> dict[str, float]:
    """Return ``memory_rate_kb_per_sec``, ``memory_angle_deg`` and ``cpu_pct`` (100 = one processor of the host).

    None of them on a machine's first sample or after it was started anew; those of memory not where it was taken from
    something else before; ``cpu_pct`` not where the counter went back.
    """
    if before is None or before.run != now.run or now.ts_ns <= before.ts_ns:
        return {}
    seconds = (now.ts_ns - before.ts_ns) / 1e9
    found: dict[str, float] = {}
    used_ns = _growth(before.cputime_ns, now.cputime_ns)
    if used_ns is not None and used_ns >= 0:
        found["cpu_pct"] = round(used_ns / seconds / 1e7, 3)
    grown_kb = _growth(before.memory_used_kb, now.memory_used_kb)
    if grown_kb is not None and before.memory_used_from == now.memory_used_from:
        rate = grown_kb / seconds
        found["memory_rate_kb_per_sec"] = rate
        found["memory_angle_deg"] = degrees(atan(rate + _FLAT))
    return found


def _growth(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None else now - before
