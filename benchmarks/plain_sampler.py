"""What telemetryd samples, as the usual program does it: psutil and json, ten times a second.

python plain_sampler.py OUT_FILE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import psutil

PERIOD_S = 0.1


class Rates:
    """Turns counters into rates."""

    def __init__(self) -> None:
        self.before: dict[tuple[str, str], tuple[float, float]] = {}

    def of(self, device: str, counters: dict[str, float], now_s: float) -> dict[str, float]:
        found = {}
        for key, count in counters.items():
            last = self.before.get((device, key))
            if last is not None and now_s > last[1]:
                found[f"{key}_s"] = (count - last[0]) / (now_s - last[1])
            self.before[(device, key)] = (count, now_s)
        return found


def sample(rates: Rates) -> list[dict[str, Any]]:
    now_s = time.monotonic()
    per_core, frequencies = psutil.cpu_percent(percpu=True), psutil.cpu_freq(percpu=True)
    load1, load5, load15 = psutil.getloadavg()
    processor = {
        "cpu_util": sum(per_core) / len(per_core),
        "cores": [
            {"core": core, "util": util, "freq_mhz": freq.current}
            for core, (util, freq) in enumerate(zip(per_core, frequencies))  # noqa: B905 - a core may lack either
        ],
        "load1": load1,
        "load5": load5,
        "load15": load15,
        **rates.of("cpu", {"ctx_switches": psutil.cpu_stats().ctx_switches}, now_s),
    }
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    rows: list[dict[str, Any]] = [
        {"source": "cpu.psutil", "kv": processor},
        {
            "source": "mem.psutil",
            "kv": {
                "mem_total": memory.total,
                "mem_available": memory.available,
                "mem_used": memory.used,
                "mem_free": memory.free,
                "mem_cached": memory.cached,
                "mem_util": memory.percent,
                "swap_total": swap.total,
                "swap_used": swap.used,
            },
        },
    ]
    for source, devices in (
        ("disk.psutil", psutil.disk_io_counters(perdisk=True)),
        ("nic.psutil", psutil.net_io_counters(pernic=True)),
    ):
        for device, counters in devices.items():
            counted = counters._asdict()
            rows.append({"source": source, "dev": device, "kv": {**counted, **rates.of(device, counted, now_s)}})
    return rows


def follow(out: TextIO) -> None:
    rates, seq, due_s = Rates(), 0, time.monotonic()
    while True:
        ts_ns = time.time_ns()
        for row in sample(rates):
            out.write(json.dumps({"ts_ns": ts_ns, "seq": seq, **row}) + "\n")
            seq += 1
        out.flush()
        due_s += PERIOD_S
        time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    with Path(sys.argv[1]).open("a", encoding="utf-8") as file:
        follow(file)
