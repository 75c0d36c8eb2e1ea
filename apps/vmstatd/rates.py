"""Rates of a machine's counters between two samples of the same run.

Devices are compared one by one, by name: one that was plugged in or pulled out meanwhile belongs to no rate. A counter
that went back gives none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from vmstatd.decode import Counters, Sample

Device = TypeVar("Device", int, str)

_PCT = 100.0
_BLOCK_RATES = ("rd_bytes", "wr_bytes", "rd_reqs", "wr_reqs")


def rates(before: Sample, now: Sample, seconds: float) -> dict[str, float]:
    """Return the rates over ``seconds`` between two samples, by the names of the log; none where no time passed."""
    if seconds <= 0:
        return {}
    gains = {
        "vcpu_wait_pct": _scaled(_gain(before.vcpus, now.vcpus, ["wait_ns"]), _PCT / 1e9),
        "vcpu_delay_pct": _scaled(_gain(before.vcpus, now.vcpus, ["delay_ns"]), _PCT / 1e9),
        **{f"block_{key}_s": _gain(before.blocks, now.blocks, [key]) for key in _BLOCK_RATES},
        **{f"net_{key}_s": _gain(before.nets, now.nets, [key]) for key in ("rx_bytes", "tx_bytes")},
        **{f"{key}_s": _gain_of(before.values, now.values, key) for key in ("swap_in_kb", "swap_out_kb")},
    }
    found = {key: round(gain / seconds, 3) for key, gain in gains.items() if gain is not None}
    latency_ms = block_latency_ms(before.blocks, now.blocks)
    return found if latency_ms is None else {**found, "block_latency_ms": latency_ms}


def block_latency_ms(before: Mapping[str, Counters], now: Mapping[str, Counters]) -> float | None:
    """Return the mean time a read or write request took, in ms; None if there was no request."""
    requests = _gain(before, now, ["rd_reqs", "wr_reqs"])
    took_ns = _gain(before, now, ["rd_time_ns", "wr_time_ns"])
    return round(took_ns / requests / 1e6, 4) if requests and took_ns is not None else None


def _gain(before: Mapping[Device, Counters], now: Mapping[Device, Counters], keys: Iterable[str]) -> int | None:
    """Return by how much counters grew, over all devices that are in both; None if there is none, or one went back."""
    gain: int | None = None
    for key in keys:
        for device in before.keys() & now.keys():
            one = _gain_of(before[device], now[device], key)
            if one is None:
                if key in before[device]:
                    return None
                continue
            gain = one if gain is None else gain + one
    return gain


def _gain_of(before: Mapping[str, int], now: Mapping[str, int], key: str) -> int | None:
    if key not in before or key not in now or now[key] < before[key]:
        return None
    return now[key] - before[key]


def _scaled(gain: int | None, scale: float) -> float | None:
    return None if gain is None else gain * scale
