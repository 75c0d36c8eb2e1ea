"""``muxd --replay`` beside a plain Python program that writes the same rows."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import MIB, REPOSITORY, Spread, Used, program_env, python, run
from benchmarks.recording import PAIR
from benchmarks.same import same_rows
from benchmarks.table import Section

FILES = ("latency.jsonl", "signals.jsonl")
AT_LEAST = 2.5
PEAK_MIB = 64


def replay(frames: int, rounds: int, seed: int = 1) -> Section:
    """Run both in turn, ``rounds`` times each. Raises DifferentError where their rows are not the same."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-replay-") as name:
        root = Path(name)
        lines = make_recording(root / "sessions" / "recorded", frames, seed)
        raw_mib = sum(path.stat().st_size for path in root.rglob("raw/*")) / MIB
        (root / "config.toml").touch()
        muxd, plain = muxd_command(root), plain_command(root)
        used: list[tuple[Used, Used]] = []
        rows = 0
        for _ in range(rounds):
            used.append((run(muxd), run(plain)))
            rows = sum(same_rows(root / "muxd" / file, root / "plain" / file) for file in FILES)
    return section(used, {"frames": frames, "lines": lines, "raw_mib": raw_mib, "rows": rows, "rounds": rounds})


def make_recording(folder: Path, frames: int, seed: int) -> int:
    """Make the recording in another process, so that its memory is not counted as the programs'."""
    code = (
        "import sys, pathlib; from benchmarks.recording import write_session; "
        "print(write_session(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))"
    )
    command = python("-c", code, folder, str(frames), str(seed))
    return int(subprocess.run(command, env=program_env(), cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout)


def muxd_command(root: Path) -> list[str]:
    where = ("--config", root / "config.toml", "--data-root", root, "--session", "recorded")
    return python("-m", "muxd", *where, "--pair", *PAIR, "--replay", "--out", root / "muxd")


def plain_command(root: Path) -> list[str]:
    raw = root / "sessions" / "recorded" / "raw"
    return python(REPOSITORY / "benchmarks" / "plain_mux.py", raw, root / "plain", "--pair", *PAIR)


def section(used: list[tuple[Used, Used]], facts: dict[str, Any]) -> Section:
    """Return the table; a ratio is taken within a round, where both had the same neighbours on the machine."""
    measured = {name: [pair[i] for pair in used] for i, name in enumerate(("muxd --replay", "plain Python, json"))}
    rows = [row(name, runs, facts["lines"]) for name, runs in measured.items()]
    wall = Spread.of([b.wall_s / a.wall_s for a, b in used])
    cpu = Spread.of([b.cpu_s / a.cpu_s for a, b in used])
    rows.append(["plain / muxd", wall.text(), cpu.text(), "", ""])
    peak_mib = max(a.peak_mib for a, _ in used)
    facts |= {
        "wall_ratio": vars(wall),
        "cpu_ratio": vars(cpu),
        "muxd_peak_mib": peak_mib,
        "programs": {name: [vars(one) for one in runs] for name, runs in measured.items()},
        "asked": {"ratio": AT_LEAST, "peak_mib": PEAK_MIB},
    }
    notes = [
        f"{facts['lines']:,} raw lines ({facts['raw_mib']:.0f} MiB), {facts['frames']:,} frames; both wrote the same "
        f"{facts['rows']:,} rows (floats within 1e-9).",
        f"{facts['rounds']} rounds, muxd and the plain program in turn: median (least to greatest). "
        f"Asked: at least {AT_LEAST} times as fast, under {PEAK_MIB} MiB.",
    ]
    header = ["program", "wall s", "CPU s", "k lines / CPU s", "peak MiB"]
    return Section("Replay", header, rows, notes, facts)


def row(name: str, runs: list[Used], lines: int) -> list[str]:
    wall, cpu = Spread.of([one.wall_s for one in runs]), Spread.of([one.cpu_s for one in runs])
    peak_mib = max(one.peak_mib for one in runs)
    return [name, wall.text(), cpu.text(), f"{lines / cpu.middle / 1000:.0f}", f"{peak_mib:.1f}"]
