"""Makes the recording that is replayed: raw streams of any length, the same bytes for the same size and seed.

It holds what a real one holds: lines a few milliseconds out of order, lost, orphaned and repeated frames, power
that begins after and ends before the frames, a meter that is gone for a while, and frames in flight at its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from math import exp, log
from pathlib import Path
from random import Random

PAIR = ("ingress", "encoded")
START_NS = 1_763_800_000_000_000_000
FRAME_NS = 16_666_667
FRAMES_PER_SAMPLE = 5

DROP_RATE = 0.003
MEDIAN_MS = 10.5
SIGMA = log(25 / MEDIAN_MS) / 2.326  # the 99th percentile is 25 ms
DISORDER_NS = 20_000_000
BLOCK_FRAMES = 4096

Line = tuple[int, str]
"""When a line is written, and the line without its sequence number."""


def write_session(folder: Path, frames: int, seed: int = 1) -> int:
    """Write a session that is only ``raw/`` into a folder, durable and in the page cache; return its lines."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    end_ns = START_NS + frames * FRAME_NS
    away_ns = min(10_000_000_000, (end_ns - START_NS) * 3 // 10)
    gone_ns = START_NS + (end_ns - START_NS) * 2 // 5
    streams = {
        "pipeline": pipeline_lines(Random(seed), frames),
        "benchlab": board_lines(Random(seed + 1), frames, (gone_ns, gone_ns + away_ns)),
        "telemetry": gpu_lines(Random(seed + 2), frames, (gone_ns + away_ns // 3, gone_ns + away_ns * 2 // 3)),
    }
    sources = {"pipeline": "pipeline", "benchlab": "benchlab.usb", "telemetry": "gpu.nvml"}
    return sum(write_stream(raw / f"{name}.jsonl", sources[name], lines, end_ns) for name, lines in streams.items())


def write_stream(path: Path, source: str, lines: Iterable[Line], end_ns: int) -> int:
    """Write the lines of one source between a ``start`` and a ``stop``; return how many lines that are."""
    period_ms = FRAME_NS * (1 if source == "pipeline" else FRAMES_PER_SAMPLE) / 1e6
    start = (
        f'{{"ts_ns":{START_NS - 1_000_000},"source":"meta","kv":{{"event":"start","disorder_ms":{DISORDER_NS // 10**6},'
        f'"sources":[{{"source":"{source}","period_ms":{period_ms}}}]}},"seq":0}}\n'
    )
    seq = 0
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        file.write(start)
        for seq, (_, line) in enumerate(lines, 1):
            file.write(f'{line},"seq":{seq}}}\n')
        file.write(f'{{"ts_ns":{end_ns + 200_000_000},"source":"meta","kv":{{"event":"stop"}},"seq":{seq + 1}}}\n')
        file.flush()
        os.fsync(file.fileno())
    return seq + 2


def pipeline_lines(random: Random, frames: int) -> Iterator[Line]:
    """Yield the stage events in the order in which they are written, which is nearly that of their time."""
    waiting: list[Line] = []
    for first in range(0, frames, BLOCK_FRAMES):
        behind = min(first + BLOCK_FRAMES, frames)
        for frame in range(first, behind):
            waiting += frame_lines(random, frame)
        waiting.sort()
        next_ns = START_NS + behind * FRAME_NS - 1_000_000
        cut = sum(line[0] < next_ns for line in waiting)
        yield from waiting[:cut]
        del waiting[:cut]
    last_ns = START_NS + (frames - 1) * FRAME_NS + 1_000_000  # the capture ends with frames in flight
    yield from (line for line in waiting if line[0] < last_ns)


def frame_lines(random: Random, frame: int) -> list[Line]:
    """Return a frame's lines: both stages, or what is left of a dropped one; a few are told twice."""
    enter_ns = START_NS + frame * FRAME_NS + int(random.uniform(-300_000, 300_000))
    leave_ns = enter_ns + int(MEDIAN_MS * 1e6 * exp(SIGMA * random.gauss(0, 1)))
    a, b = (enter_ns, stage(enter_ns, 0, frame)), (leave_ns, stage(leave_ns, 1, frame))
    chance = random.random()
    if chance < DROP_RATE:
        return [b] if chance < DROP_RATE / 10 else [a]
    if chance > 0.99:
        late_ns = leave_ns + int(random.uniform(0, 0.4) * DISORDER_NS)
        b = (late_ns, b[1])
    if chance > 0.9995:
        again_ns = leave_ns + 5_000_000
        return [a, b, (again_ns, stage(again_ns, 1, frame))]
    return [a, b]


def stage(ts_ns: int, which: int, frame: int) -> str:
    return f'{{"ts_ns":{ts_ns},"source":"pipeline","kv":{{"stage":"{PAIR[which]}","frame":{frame}}}'


def sample_times(random: Random, frames: int, away: tuple[int, int]) -> Iterator[int]:
    """Yield when a meter is read: from half a second after the first frame to half a second before the last."""
    for frame in range(30, frames - 30, FRAMES_PER_SAMPLE):
        ts_ns = START_NS + frame * FRAME_NS + int(random.uniform(-1_000_000, 1_000_000))
        if not away[0] <= ts_ns < away[1]:
            yield ts_ns


def load_at(ts_ns: int) -> float:
    """Return the load of the made-up machine: a step every 20 s."""
    return Random((ts_ns - START_NS) // 20_000_000_000).random()


def board_lines(random: Random, frames: int, away: tuple[int, int]) -> Iterator[Line]:
    """Yield readings of the whole computer's power."""
    for ts_ns in sample_times(random, frames, away):
        power_w = 92 + 308 * load_at(ts_ns) + random.gauss(0, 3)
        rtt_ns = int(random.uniform(900_000, 2_000_000))
        yield (
            ts_ns,
            f'{{"ts_ns":{ts_ns},"source":"benchlab.usb","kv":{{"v_sys":12.0,"i_sys":{power_w / 12:.3f},'
            f'"p_sys":{power_w:.3f},"temp_c":{38 + power_w / 60:.1f}}},"dev":"53494D3030303153494D3030",'
            f'"cal":{{"offset_ns":0,"rtt_ns":{rtt_ns}}},"unc_ns":{rtt_ns // 2}',
        )


def gpu_lines(random: Random, frames: int, away: tuple[int, int]) -> Iterator[Line]:
    """Yield readings of the graphics card, which stands in where the board is away."""
    for ts_ns in sample_times(random, frames, away):
        load = load_at(ts_ns)
        power_w = 40 + 210 * load + random.gauss(0, 2)
        yield (
            ts_ns,
            f'{{"ts_ns":{ts_ns},"source":"gpu.nvml","kv":{{"gpu_util":{100 * load:.1f},"mem_util":{60 * load:.1f},'
            f'"gpu_mem_used":14495514624,"gpu_mem_total":25769803776,"power_w":{power_w:.3f},'
            f'"temp_c":{35 + power_w / 8:.1f}}},"dev":"GPU-00000000-0000-4000-8000-000000010000"',
        )
