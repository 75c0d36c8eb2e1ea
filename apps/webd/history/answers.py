"""History as JSON: columns of equal length, times in ms, null for what is absent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchlab.catalog import lookup
from benchlab.query.aligned import Pair
from benchlab.query.blocks import Block
from benchlab.query.latency import HISTOGRAM_BINS, Figures, Window
from benchlab.query.latency_index import PairTotals
from benchlab.query.pair_rows import PairRows
from benchlab.query.signal_index import Address, Span
from benchlab.query.signals import Series
from webd.history.asked import Stretch, ms, ms_or_none

_NO_FIGURES = dict.fromkeys(
    ("min_ms", "max_ms", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "power_mean_w", "energy_mean_j", "energy_j")
)


def latency(pair: Pair | None, total: PairTotals, asked: Stretch, window: Window, points: int) -> dict[str, Any]:
    """Return the answer to /latency, but for what is known of the session."""
    edges, counts = window.sketch.histogram(HISTOGRAM_BINS)
    return {
        "pair": pair,
        "from_ms": ms_or_none(total.first_ns) if asked.from_us is None else asked.from_us / 1000,
        "to_ms": ms_or_none(total.last_ns) if asked.to_us is None else asked.to_us / 1000,
        "frames": window.frames,
        "drops": len(window.drops_ns),
        "resolution": "frames" if window.blocks is None else "buckets",
        "columns": _frames(window.rows) if window.blocks is None else _buckets(window.blocks, window.block_drops),
        "drops_ms": [ms(ns) for ns in _thinned(window.drops_ns, points)],
        "gaps": [[ms(a), ms(b)] for a, b in window.gaps],
        "stats": _figures(window.figures),
        "histogram": {"edges_ms": edges, "counts": counts},
        "sim": bool(total.simulated),
    }


def _frames(rows: PairRows) -> dict[str, Any]:
    return {
        "t_ms": [ms(ns) for ns in rows.ts_ns],
        "lat_ms": _numbers(rows.lat_ms),
        "power_w": _numbers(rows.power_w),
        "energy_j": _numbers(rows.energy_j),
        "frame": rows.frame,
        "temp_c": _numbers(rows.temp_c),
    }


def _buckets(blocks: Sequence[Block], drops: list[int]) -> dict[str, Any]:
    return {
        "t_ms": [_middle_ms(block) for block in blocks],
        "n": [block.n for block in blocks],
        "lat_min_ms": [block.lat_min for block in blocks],
        "lat_mean_ms": [block.lat_sum / block.n for block in blocks],
        "lat_max_ms": [block.lat_max for block in blocks],
        "power_min_w": [block.power_min for block in blocks],
        "power_mean_w": [block.power_sum / block.power_n if block.power_n else None for block in blocks],
        "power_max_w": [block.power_max for block in blocks],
        "energy_j": [block.energy_sum if block.energy_n else None for block in blocks],
        "drops": drops,
    }


def _figures(figures: Figures | None) -> dict[str, Any]:
    if figures is None:
        return {"n": 0, **_NO_FIGURES, "percentile_error": 0.0}
    return {name: getattr(figures, name) for name in figures.__dataclass_fields__}


def signals(available: Iterable[Address], series: Iterable[Series]) -> dict[str, Any]:
    """Return the answer to /signals, but for what is known of the session."""
    return {
        "available": [{**_named(address), "kind": _of(address, lambda s: s.kind)} for address in available],
        "series": [_series(one) for one in series],
    }


def _series(series: Series) -> dict[str, Any]:
    found = {**_named(series.address), "sim": series.sim}
    if series.spans is None:
        columns: dict[str, Any] = {
            "t_ms": [ms(ns) for ns, _ in series.values],
            "value": [value for _, value in series.values],
        }
        return {**found, "resolution": "samples", "columns": columns}
    return {**found, "resolution": "buckets", "columns": _spans(series.spans)}


def _spans(spans: Sequence[Span]) -> dict[str, Any]:
    return {
        "t_ms": [_middle_ms(span) for span in spans],
        "n": [span.n for span in spans],
        "min": [span.low for span in spans],
        "mean": [span.total / span.n for span in spans],
        "max": [span.high for span in spans],
    }


def _named(address: Address) -> dict[str, Any]:
    source, dev, key = address
    return {"source": source, "dev": dev or None, "key": key, "unit": _of(address, lambda signal: signal.unit or None)}


def _of(address: Address, what: Callable[[Any], str | None]) -> str | None:
    signal = lookup(address[0], address[2])
    return None if signal is None else what(signal)


def _middle_ms(block: Block | Span) -> float:
    return ms((block.t_min + block.t_max) // 2)


def _numbers(column: Iterable[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in column]


def _thinned(times: Sequence[int], most: int) -> list[int]:
    """Return at most so many of the times, spread evenly, the first and last among them."""
    n = len(times)
    if n <= most:
        return list(times)
    return [times[i * (n - 1) // max(1, most - 1)] for i in range(most)]
