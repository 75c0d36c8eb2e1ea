#!/usr/bin/env python3
"""Make data/sample/: a small session with known faults, and its answers from what was put in, not from muxd.

Run it to write the files, or with ``--check`` to compare them with what it would write
(exit 1 on a difference). All of it follows from one seed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

SCRIPTS = Path(__file__).resolve().parent
FOLDER = SCRIPTS.parent / "data" / "sample"
README = SCRIPTS / "sample_readme.md"  # with a place for every answer
T0_NS = 1_763_800_000_000_000_000
US = 1_000
MS = 1_000_000
END_MS = 5_000
STAGES = ("ingress", "encoded")
FLOW = "r5c"

FRAMES = 120
FIRST_FRAME_US = 300_000
FRAME_PERIOD_US = 16_667
MEDIAN_MS, P99_MS = 10.5, 25.0

NEVER_ENCODED = (17, 58)
NEVER_ENTERED = 41
REPEATED_INGRESS = 70
SHUFFLED = {30: 12_000, 52: 9_000}  # frame -> microseconds its ingress line is written after its time
LATE_ENCODED, LATE_BY_US = 84, 60_000
TORN_ENCODED = 100
RESTART_US = 100_000  # from the torn line until the writer is back
LAST_FRAME, LAST_FRAME_US = 120, 4_900_000

Line = dict[str, Any]


class Frame(NamedTuple):
    """One frame as it really was: entry and exit in microseconds after the start."""

    number: int
    enters_us: int
    leaves_us: int


class Written(NamedTuple):
    """One line of the pipeline's file: when it was written, and whether a reader can use it."""

    at_us: int
    line: Line
    fate: str = "used"  # or "late", "torn"


def true_frames() -> list[Frame]:
    """Return the frames: 60 a second, log-normal latency by its quantiles in random order."""
    rng = random.Random(1)
    sigma = math.log(P99_MS / MEDIAN_MS) / NormalDist().inv_cdf(0.99)
    ranks = list(range(FRAMES))
    rng.shuffle(ranks)
    frames = []
    for number, rank in enumerate(ranks):
        z = NormalDist().inv_cdf((rank + 0.5) / FRAMES)
        enters_us = FIRST_FRAME_US + number * FRAME_PERIOD_US + rng.randrange(-300, 301)
        frames.append(Frame(number, enters_us, enters_us + round(MEDIAN_MS * 1e3 * math.exp(sigma * z))))
    return frames


def event(at_us: int, source: str, **kv: object) -> Line:
    """Return one raw line, marked as simulated."""
    return {"ts_ns": T0_NS + at_us * US, "source": source, "kv": kv, "sim": True}


def start_line(at_us: int, disorder_ms: int, **source: object) -> Line:
    """Return the line in which a stream says how it is to be read."""
    return event(at_us, "meta", event="start", version="sample", disorder_ms=disorder_ms, sources=[source])


def stage(frame: Frame, index: int) -> Written:
    """Return one stage's line of a frame, written at its time."""
    at_us = (frame.enters_us, frame.leaves_us)[index]
    return Written(at_us, event(at_us, "pipeline", stage=STAGES[index], frame=frame.number, flow=FLOW))


def later(written: Written, by_us: int, fate: str = "used") -> Written:
    """Return a line that reached the file some time after its own time."""
    return Written(written.at_us + by_us, written.line, fate)


def entries(frame: Frame) -> list[Written]:
    """Return what a frame leaves in the file before the writer's crash is taken into account."""
    enters, leaves = stage(frame, 0), stage(frame, 1)
    number = frame.number
    lines = [] if number == NEVER_ENTERED else [later(enters, SHUFFLED.get(number, 0))]
    if number == REPEATED_INGRESS:
        again = stage(frame._replace(enters_us=frame.enters_us + 1_000), 0)
        lines.append(again)
    if number == LATE_ENCODED:
        lines.append(later(leaves, LATE_BY_US, "late"))
    elif number == TORN_ENCODED:
        lines.append(leaves._replace(fate="torn"))
    elif number not in NEVER_ENCODED:
        lines.append(leaves)
    return lines


def pipeline_lines(frames: list[Frame]) -> list[Written]:
    """Return the pipeline's lines in the order of the file, with the crash and the restart in it."""
    crash_us = frames[TORN_ENCODED].leaves_us
    back_us = crash_us + RESTART_US
    lines = [line for frame in frames for line in entries(frame)]
    lines = [line for line in lines if not crash_us < line.at_us < back_us]
    story = {"source": "pipeline", "stamping": "arrival"}
    lines.append(Written(0, start_line(0, 20, **story)))
    lines.append(Written(back_us, event(back_us, "meta", event="gap", why="unclean_end")))
    lines.append(Written(back_us, start_line(back_us, 20, **story)))
    lines += [Written(s * 1_000_000, event(s * 1_000_000, "meta", event="alive")) for s in (3, 4)]
    lines.append(stage(Frame(LAST_FRAME, LAST_FRAME_US, LAST_FRAME_US), 0))
    lines.append(Written(END_MS * 1_000, event(END_MS * 1_000, "meta", event="stop")))
    return sorted(lines, key=lambda line: line.at_us)


def power_w(at_ms: int) -> float:
    """Return the board's power: 180 W, from 1.3 s on within 0.2 s up to 300 W, with a ripple."""
    ramp = min(max((at_ms - 1_300) / 200, 0.0), 1.0)
    return round(180.0 + 120.0 * ramp + 3.0 * math.sin(at_ms / 90.0), 1)


def board_lines() -> list[Line]:
    """Return 20 board readings a second."""
    lines = [start_line(0, 20, source="benchlab.usb", stamping="midpoint", period_ms=50)]
    for at_ms in range(10, END_MS, 50):
        watts = power_w(at_ms)
        kv = {
            "v_sys": 12.0,
            "i_sys": round(watts / 12.0, 3),
            "p_sys": watts,
            "temp_c": round(38 + at_ms / 1_000, 2),
        }
        cal = {"offset_ns": 0, "rtt_ns": 1_500_000}
        lines.append(event(at_ms * 1_000, "benchlab.usb", **kv) | {"cal": cal, "unc_ns": 750_000})
    return [*lines, event(END_MS * 1_000, "meta", event="stop")]


def host_lines() -> list[Line]:
    """Return 10 readings a second of a GPU and a CPU."""
    lines = [start_line(0, 50, source="gpu.nvml", stamping="midpoint", period_ms=100, window_ms=1_000)]
    for at_ms in range(20, END_MS, 100):
        watts = round(0.62 * power_w(max(at_ms - 500, 0)), 1)
        gpu: Line = {"gpu_util": round(watts / 2.6, 1), "mem_util": 45.0, "gpu_mem_used": 16_000_000_000}
        gpu |= {"gpu_mem_total": 48_000_000_000, "power_w": watts, "temp_c": round(60 + at_ms / 2_000, 1)}
        lines.append(event(at_ms * 1_000, "gpu.nvml", **gpu))
        lines.append(event(at_ms * 1_000 + 400, "cpu.psutil", cpu_util=round(watts / 6, 1)))
    return [*lines, event(END_MS * 1_000, "meta", event="stop")]


def encode(lines: list[Line]) -> list[bytes]:
    """Return the lines as JSON, numbered by ``seq``."""
    rows = [{"ts_ns": r["ts_ns"], "source": r["source"], "seq": seq} | r for seq, r in enumerate(lines)]
    return [json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows]


def encode_pipeline(lines: list[Written]) -> bytes:
    """Return the pipeline's file; the torn line ends in its middle and gives its ``seq`` to the next one."""
    torn = next(i for i, line in enumerate(lines) if line.fate == "torn")
    whole = encode([line.line for i, line in enumerate(lines) if i != torn])
    half = encode([line.line for line in lines[: torn + 1]])[torn][:61] + b"\n"
    return b"".join([*whole[:torn], half, *whole[torn:]])


class Pair(NamedTuple):
    """A frame that was seen at both stages, and what it cost."""

    frame: Frame
    lat_ms: float
    power_w: Fraction
    energy_j: Fraction


def power_between(at_ns: Fraction) -> Fraction:
    """Return the power at a time after the start, on the straight line between the two readings around it."""
    before_ms = int((at_ns - 10 * MS) // (50 * MS)) * 50 + 10
    left, right = (Fraction(str(power_w(ms))) for ms in (before_ms, before_ms + 50))
    return left + (right - left) * (at_ns - before_ms * MS) / (50 * MS)


def energy_between(a_ns: int, b_ns: int) -> Fraction:
    """Return the joules from a to b: a trapezoid for each piece between two readings."""
    knots = [ms * MS for ms in range(10, END_MS, 50) if a_ns < ms * MS < b_ns]
    edges = [Fraction(t) for t in (a_ns, *knots, b_ns)]
    steps = pairwise(edges)
    return sum(((power_between(s) + power_between(e)) / 2 * (e - s) / 10**9 for s, e in steps), Fraction(0))


def completed(frames: list[Frame], lines: list[Written]) -> list[Pair]:
    """Return the pairs: frames of which the file holds a usable line of both stages."""
    seen = {(w.line["kv"]["stage"], w.line["kv"]["frame"]) for w in lines if is_usable_stage(w)}
    pairs = []
    for frame in frames:
        if all((stage_name, frame.number) in seen for stage_name in STAGES):
            a_ns, b_ns = frame.enters_us * US, frame.leaves_us * US
            watts, joules = power_between(Fraction(a_ns + b_ns, 2)), energy_between(a_ns, b_ns)
            pairs.append(Pair(frame, (frame.leaves_us - frame.enters_us) / 1_000, watts, joules))
    return pairs


def is_usable_stage(written: Written) -> bool:
    """Say whether a line tells of a stage and can be used."""
    return written.fate == "used" and "stage" in written.line["kv"]


def unpaired(lines: list[Written], pairs: list[Pair]) -> dict[str, list[int]]:
    """Return the frame numbers without partner by reason."""
    whole = {pair.frame.number for pair in pairs}
    usable = [w.line["kv"] for w in lines if is_usable_stage(w)]
    alone = [kv for kv in usable if kv["frame"] not in whole]
    return {
        "lost": sorted(kv["frame"] for kv in alone if kv["stage"] == STAGES[0] and kv["frame"] != LAST_FRAME),
        "orphan": sorted(kv["frame"] for kv in alone if kv["stage"] == STAGES[1]),
        "duplicate": [REPEATED_INGRESS],
        "open_at_end": [LAST_FRAME],
    }


def percentile(values: list[float], q: float) -> float:
    """Return the q-th percentile by linear interpolation between the two nearest ranks."""
    ranked = sorted(values)
    position = (len(ranked) - 1) * q / 100
    low = math.floor(position)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (position - low)


def worked(pairs: list[Pair]) -> dict[str, Any]:
    """Return one frame that lies between two readings during the ramp, with all that its sum needs."""
    for pair in pairs:
        a_ms, b_ms = pair.frame.enters_us / 1_000, pair.frame.leaves_us / 1_000
        before_ms = int((a_ms - 10) // 50) * 50 + 10
        if a_ms > 1_310 and b_ms < before_ms + 50:
            return {
                "frame": pair.frame.number,
                "a_ms": a_ms,
                "b_ms": b_ms,
                "lat_ms": pair.lat_ms,
                "readings": [[ms, power_w(ms)] for ms in (before_ms, before_ms + 50)],
                "power_w": float(pair.power_w),
                "energy_j": float(pair.energy_j),
                "power_age_ms": float(min((a_ms + b_ms) / 2 - before_ms, before_ms + 50 - (a_ms + b_ms) / 2)),
            }
    raise SystemExit("make_sample: no frame lies between two readings of the ramp")


def answers(frames: list[Frame], lines: list[Written]) -> dict[str, Any]:
    """Return what any right reader of the sample finds."""
    pairs = completed(frames, lines)
    latencies = [pair.lat_ms for pair in pairs]
    fates = [line.fate for line in lines]
    return {
        "stage_events": sum("stage" in line.line["kv"] for line in lines if line.fate != "torn"),
        "pairs": len(pairs),
        "dropped": unpaired(lines, pairs),
        "late": fates.count("late"),
        "bad": fates.count("torn"),
        "lat_ms": {f"p{q}": round(percentile(latencies, q), 6) for q in (50, 95, 99)},
        "mean_power_w": float(sum((p.power_w for p in pairs), Fraction(0)) / len(pairs)),
        "total_energy_j": float(sum((p.energy_j for p in pairs), Fraction(0))),
        "worked": worked(pairs),
    }


def readme(found: dict[str, Any]) -> str:
    """Return data/sample/README.md with the answers filled in."""
    frame, drops = found["worked"], found["dropped"]
    (before_ms, before_w), (after_ms, after_w) = frame["readings"]
    return README.read_text().format(
        **frame,
        **found["lat_ms"],
        never_encoded=comma(NEVER_ENCODED),
        never_entered=NEVER_ENTERED,
        repeated=REPEATED_INGRESS,
        shuffled=comma(SHUFFLED),
        late_frame=LATE_ENCODED,
        torn=TORN_ENCODED,
        last=LAST_FRAME,
        lost=comma(drops["lost"]),
        orphan=comma(drops["orphan"]),
        count={name: len(numbers) for name, numbers in drops.items()},
        found=found,
        twice=2 * found["pairs"],
        t0=T0_NS,
        before_ms=before_ms,
        before_w=before_w,
        after_ms=after_ms,
        after_w=after_w,
        mid_ms=(frame["a_ms"] + frame["b_ms"]) / 2,
        lat_s=frame["lat_ms"] / 1_000,
    )


def comma(numbers: Iterable[int]) -> str:
    """Return the numbers as prose."""
    return ", ".join(str(number) for number in numbers)


def files() -> dict[str, bytes]:
    """Return every file of the sample by name."""
    frames = true_frames()
    lines = pipeline_lines(frames)
    found = answers(frames, lines)
    return {
        "benchlab.jsonl": b"".join(encode(board_lines())),
        "telemetry.jsonl": b"".join(encode(host_lines())),
        "pipeline.jsonl": encode_pipeline(lines),
        "answers.json": json.dumps(found, indent=2).encode() + b"\n",
        "README.md": readme(found).encode(),
    }


def holds(path: Path, data: bytes) -> bool:
    """Say whether a file holds exactly the bytes given."""
    return path.is_file() and path.read_bytes() == data


def main(argv: list[str] | None = None) -> int:
    """Write the sample, or compare it."""
    parser = argparse.ArgumentParser(prog="make_sample.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the files instead of writing them")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="the folder (data/sample)")
    args = parser.parse_args(argv)
    made = files()
    if args.check:
        stale = [args.out / name for name, data in made.items() if not holds(args.out / name, data)]
        for path in stale:
            print(
                f"make_sample.py: {path} is not what this program makes; run it without --check",
                file=sys.stderr,
            )
        return 1 if stale else 0
    args.out.mkdir(parents=True, exist_ok=True)
    for name, data in made.items():
        (args.out / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
