"""The one list of signals: what each (source, key) means, in which unit, and how it is called elsewhere.

Prometheus HELP and TYPE, docs/METRICS.md, column types and Influx field types are all read from here. A key
that a source emits and that is not listed here is a defect.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from benchlab.catalog import board, edge, events, gpu, host, pi, vm
from benchlab.catalog.power_tree import RAIL_SUMS, RAILS
from benchlab.catalog.signal import InfluxType, Kind, Labels, Signal

__all__ = [
    "RAILS",
    "RAIL_SUMS",
    "SIGNALS",
    "InfluxType",
    "Kind",
    "Labels",
    "Signal",
    "energy_key",
    "energy_step_ms",
    "lookup",
    "unknown_keys",
]

SIGNALS: tuple[Signal, ...] = (
    *gpu.signals(),
    *host.signals(),
    *board.signals(),
    *edge.signals(),
    *pi.signals(),
    *vm.signals(),
    *events.signals(),
)
"""Every signal, in the order of the documentation."""

_EXACT = {(signal.source, signal.key): signal for signal in SIGNALS if "*" not in signal.source + signal.key}
_PATTERNS = tuple(signal for signal in SIGNALS if "*" in signal.source + signal.key)


@lru_cache(maxsize=4096)
def lookup(source: str, key: str) -> Signal | None:
    """Return the signal of ``key`` as ``source`` emits it, or ``None`` if nobody ever described it."""
    found = _EXACT.get((source, key))
    if found is not None:
        return found
    matches = (signal.matching(key) for signal in _PATTERNS if fnmatchcase(source, signal.source))
    return next(filter(None, matches), None)


def energy_key(source: str, key: str) -> str | None:
    """Return the key of the same source that counts the joules of the power ``key``, if it has one."""
    signal = lookup(source, key)
    return signal.energy_key if signal else None


def energy_step_ms(source: str, key: str) -> float:
    """Return how long that counter stands still at most between two steps; 0 if that is too short to matter."""
    signal = lookup(source, key)
    return signal.energy_step_ms if signal else 0.0


def unknown_keys(source: str, kv: Iterable[tuple[str, object]]) -> list[str]:
    """Return the keys of a reading, columns of its tables included, that the catalog does not describe."""
    keys: list[str] = []
    for key, value in kv:
        keys.append(key)
        if isinstance(value, list):
            keys += sorted({f"{key}.{column}" for row in value for column in row})
    return [key for key in keys if lookup(source, key) is None]
