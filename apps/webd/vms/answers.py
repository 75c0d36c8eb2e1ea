"""Virtual machines as JSON: times in ms since 1970, null for what is not known."""

from __future__ import annotations

from typing import Any

from benchlab.catalog import lookup
from benchlab.event import Aligned, Event
from webd.history.asked import ms
from webd.vms.sightings import VM, Sighted

_NAMES = ("vmid", "name", "state")
_STATISTICS = ("total_collections", "total_errors", "vms_monitored", "total_metrics_written")
_TIMES = {"started_at_ns": "started_at_ms", "last_collection_time_ns": "last_collection_time_ms"}
STALE_PERIODS = 2.5


def vm(event: Event, seen: Sighted, now_ns: int) -> dict[str, Any]:
    """Return a VM with its last values."""
    kv = event.kv
    age_ms = max(0.0, (now_ns - event.ts_ns) / 1e6)
    return {
        "uuid": event.dev,
        "id": kv.get("vmid"),
        "name": kv.get("name"),
        "state": kv.get("state"),
        "last_ms": ms(event.ts_ns),
        "age_ms": round(age_ms, 3),
        "stale": age_ms > STALE_PERIODS * seen.period_ms,
        "sim": event.sim,
        "values": [_value(key, value) for key, value in kv.items() if _is_shown(key, value)],
        "energy": energy(seen.energy.get(event.dev or "")),
    }


def tables(event: Event) -> dict[str, Any]:
    """Return the tables of a VM: its vCPUs, block devices and network interfaces."""
    return {key: value for key, value in event.kv.items() if isinstance(value, list)}


def energy(row: Aligned | None) -> dict[str, Any] | None:
    """Return what was spent over the last interval; ``energy_why`` where it is not known; None if nobody ever said."""
    if row is None:
        return None
    return {"t_ms": ms(row.ts_aligned_ns), **row.kv, "sim": row.sim, "sim_of": row.sim_of}


def collector(event: Event | None) -> dict[str, Any] | None:
    """Return how vmstatd fares; None if it never said."""
    if event is None:
        return None
    kv = event.kv
    times = {name: ms(kv[key]) if isinstance(kv.get(key), int) else None for key, name in _TIMES.items()}
    return {**times, **{key: kv.get(key) for key in _STATISTICS}}


def _is_shown(key: str, value: object) -> bool:
    return key not in _NAMES and not isinstance(value, list | dict)


def _value(key: str, value: object) -> dict[str, Any]:
    signal = lookup(VM, key)
    unit, text = (signal.unit or None, signal.help) if signal else (None, None)
    return {"key": key, "value": value, "unit": unit, "help": text}
