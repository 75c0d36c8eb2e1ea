"""A field of a virtual machine over time, however it was found: values one by one, or spans where they are too many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchlab.catalog import lookup
from benchlab.query.signal_index import Span, both, span_of
from benchlab.query.signals import Series
from webd.history.asked import ms
from webd.vms.sightings import ENERGY, VM

Values = list[tuple[int, float]]

METRICS = ("cpu_count", "memory_max_kb", "memory_used_kb", "cputime_ns")
FEATURES = ("memory_rate_kb_per_sec", "memory_angle_deg")


@dataclass
class Found:
    """What was found of a field, and where: ``store``, ``signals``, ``raw`` or ``influx``."""

    origin: str
    values: Values = field(default_factory=list)
    spans: list[Span] | None = None
    sim: bool = False


def source_of(key: str) -> str:
    """Return which source a field is of: the VM's readings, or what it cost."""
    return ENERGY if lookup(ENERGY, key) is not None and lookup(VM, key) is None else VM


def of_series(series: Series) -> Found:
    """Return a series of the index as it was found."""
    return Found("signals", series.values, series.spans, series.sim)


def of_values(origin: str, values: Values, sim: bool, points: int) -> Found:
    """Return values, as spans of equal time where they are more than ``points``."""
    if len(values) <= points:
        return Found(origin, values, None, sim)
    start_ns, end_ns = values[0][0], values[-1][0] + 1
    width_ns = max(1, math.ceil((end_ns - start_ns) / points))
    buckets: dict[int, Span] = {}
    for value in values:
        number, one = (value[0] - start_ns) // width_ns, span_of([value])
        buckets[number] = both(buckets[number], one) if number in buckets else one
    return Found(origin, [], [buckets[number] for number in sorted(buckets)], sim)


def columns(found: Found) -> dict[str, Any]:
    """Return resolution and columns as the API has them."""
    if found.spans is None:
        told: dict[str, Any] = {
            "t_ms": [ms(ts_ns) for ts_ns, _ in found.values],
            "value": [value for _, value in found.values],
        }
        return {"resolution": "samples", "columns": told}
    spans: Sequence[Span] = found.spans
    told = {
        "t_ms": [ms((span.t_min + span.t_max) // 2) for span in spans],
        "n": [span.n for span in spans],
        "min": [span.low for span in spans],
        "mean": [span.total / span.n for span in spans],
        "max": [span.high for span in spans],
    }
    return {"resolution": "buckets", "columns": told}


def points_of(found: Found) -> list[tuple[float, float]]:
    """Return a field as points in seconds, for statistics: a span as its mean."""
    if found.spans is None:
        return [(ts_ns / 1e9, value) for ts_ns, value in found.values]
    return [((span.t_min + span.t_max) / 2e9, span.total / span.n) for span in found.spans]
