"""Makes the aligned files of a session of hours, as muxd would have written them, without the hours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from math import exp, log
from pathlib import Path
from random import Random

PAIR = ("ingress", "encoded")
START_NS = 1_763_800_000_000_000_000
FRAME_NS = 16_666_667
MEDIAN_MS = 10.5
SIGMA = log(25 / MEDIAN_MS) / 2.326  # the 99th percentile is 25 ms
DROP_RATE = 0.003
PAUSE_NS = 10_000_000_000
"""So long no frame comes, in the middle of the session."""

GPU = '"gpu_util":{a},"mem_util":41.0,"power_w":{b},"temp_c":61.5,"sm_clock_mhz":2505,"mem_clock_mhz":10501'
CPU = '"cpu_util":{a},"freq_mhz":4120.5,"load1":3.1,"load5":2.9,"load15":2.5,"ctx_switches_s":21042.0'
BOARD = '"v_sys":12.01,"i_sys":{a},"p_sys":{b},"gpu_w":151.5,"cpu_w":61.25,"temp_c":42.5'


def write_long_session(folder: Path, frames: int, seed: int = 1) -> int:
    """Write a closed session of ``frames`` at 60 a second; return the bytes of its latency.jsonl."""
    for name in ("raw", "aligned", "state"):
        (folder / name).mkdir(parents=True)
    seconds = frames * FRAME_NS // 1_000_000_000
    sizes = {
        "latency.jsonl": _write(folder / "aligned" / "latency.jsonl", latency_lines(Random(seed), frames)),
        "signals.jsonl": _write(folder / "aligned" / "signals.jsonl", signal_lines(Random(seed + 1), seconds)),
    }
    info = {"id": folder.name, "node": "bench", "created": "2025-11-22T08:26:40Z", "closed": True}
    (folder / "session.json").write_text(json.dumps(info))
    vouched = {"version": 1, "generation": 1, "outputs": sizes, "final": True}
    (folder / "state" / "mux.json").write_text(json.dumps(vouched))
    return sizes["latency.jsonl"]


def latency_lines(random: Random, frames: int) -> Iterator[str]:
    """Yield rows in the order in which they are decided: frames when they complete, drops 2 s after their entry."""
    waiting: list[tuple[int, str]] = []
    for frame in range(frames):
        at_ns = START_NS + frame * FRAME_NS + (PAUSE_NS if frame > frames // 2 else 0)
        heappush(waiting, dropped(at_ns, frame) if random.random() < DROP_RATE else completed(random, at_ns, frame))
        while waiting[0][0] < at_ns:
            yield heappop(waiting)[1]
    yield from (line for _, line in sorted(waiting))


def dropped(at_ns: int, frame: int) -> tuple[int, str]:
    decided_ns = at_ns + 2_000_000_000
    return decided_ns, (
        f'{{"ts_aligned_ns":{at_ns},"source":"metric.dropped","kv":{{"pair":["ingress","encoded"],"stage":"ingress",'
        f'"frame":{frame},"reason":"lost","decided_ns":{decided_ns}}}}}\n'
    )


def completed(random: Random, entry_ns: int, frame: int) -> tuple[int, str]:
    lat_ms = MEDIAN_MS * exp(SIGMA * random.gauss(0, 1))
    power_w = 240 + 20 * random.random()
    at_ns = entry_ns + int(lat_ms * 1e6)
    return at_ns, (
        f'{{"ts_aligned_ns":{at_ns},"source":"metric.latency","kv":{{"lat_ms":{lat_ms:.6f},'
        f'"pair":["ingress","encoded"],"frame":{frame},"match":"frame","power_w":{power_w:.6f},'
        f'"energy_j":{lat_ms * power_w / 1000:.9f},"power_age_ms":3.125,"power_source":"benchlab.usb:p_sys",'
        '"temp_c":42.5},"unc_ns":750000}\n'
    )


def signal_lines(random: Random, seconds: int) -> Iterator[str]:
    """Yield the rows of three sources for each second."""
    for second in range(seconds):
        at_ns = START_NS + second * 1_000_000_000
        for source, dev, keys in (("gpu.nvml", "GPU-1", GPU), ("cpu.psutil", "", CPU), ("benchlab.usb", "B1", BOARD)):
            figures = keys.replace("{a}", f"{100 * random.random():.3f}").replace("{b}", f"{300 * random.random():.3f}")
            which = f',"dev":"{dev}"' if dev else ""
            yield f'{{"ts_aligned_ns":{at_ns},"source":"{source}","kv":{{{figures}}}{which}}}\n'


def _write(path: Path, lines: Iterable[str]) -> int:
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    return path.stat().st_size
