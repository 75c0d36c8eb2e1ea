"""The whole job of ``muxd --replay`` beside DuckDB and Polars, the fastest tools at hand for files of this size."""

from __future__ import annotations

import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import MIB, REPOSITORY, Spread, Used, python, run
from benchmarks.recording import PAIR
from benchmarks.replay import make_recording, muxd_command, row
from benchmarks.same import same_results
from benchmarks.table import Section

MUXD = "muxd --replay"
PEERS = {"DuckDB": "duckdb", "Polars": "polars"}
LEFT_OUT_FIELDS = ("unc_ns",)
LEFT_OUT = (
    "signals.jsonl, which muxd writes as well",
    "the clocks' uncertainty (`unc_ns`)",
    "late lines and bad lines: the first would be used, the second end the query",
    "any identity but the frame number, any devices but the two meters, simulated and window-averaged readings",
    "the first of several repeats: a third event of a frame is held against the second, in muxd against the first",
    "the order of events with equal times, and of rows that are decided at the same time",
    "following a file that grows, and going on after a restart",
)
TOLERANCE = 1e-6


def whole(frames: int, rounds: int, seed: int = 1) -> Section:
    """Run all three in turn, ``rounds`` times each. Raises DifferentError where their rows are not the same."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-whole-") as name:
        root = Path(name)
        lines = make_recording(root / "sessions" / "recorded", frames, seed)
        raw_mib = sum(path.stat().st_size for path in root.rglob("raw/*")) / MIB
        (root / "config.toml").touch()
        commands = {MUXD: muxd_command(root), **{peer: peer_command(root, PEERS[peer]) for peer in PEERS}}
        used: dict[str, list[Used]] = {program: [] for program in commands}
        rows = 0
        for _ in range(rounds):
            for program, command in commands.items():
                used[program].append(run(command))
            rows = check(root)
    return section(used, {"frames": frames, "lines": lines, "raw_mib": raw_mib, "rows": rows, "rounds": rounds})


def peer_command(root: Path, module: str) -> list[str]:
    raw = root / "sessions" / "recorded" / "raw"
    return python(REPOSITORY / "benchmarks" / f"{module}_mux.py", raw, root / module, "--pair", *PAIR)


def check(root: Path) -> int:
    """Compare what the others wrote with muxd's; return the rows of each."""
    ours = root / "muxd" / "latency.jsonl"
    return max(same_results(ours, root / module / ours.name, LEFT_OUT_FIELDS, TOLERANCE) for module in PEERS.values())


def section(used: dict[str, list[Used]], facts: dict[str, Any]) -> Section:
    """Return the table; a ratio is taken within a round, where all had the same neighbours on the machine."""
    ratios = {peer: ratio(used[peer], used[MUXD]) for peer in PEERS}
    versions = {peer: importlib.metadata.version(module) for peer, module in PEERS.items()}
    rows = [row(program, runs, facts["lines"]) for program, runs in used.items()]
    rows += [ratio_row(f"{peer} / muxd", spreads) for peer, spreads in ratios.items()]
    facts |= {
        "versions": versions,
        "ratios": {peer: {what: vars(spread) for what, spread in found.items()} for peer, found in ratios.items()},
        "programs": {program: [vars(one) for one in runs] for program, runs in used.items()},
        "left_out": LEFT_OUT,
    }
    named = " and ".join(f"{peer} {version}" for peer, version in versions.items())
    notes = [
        f"{facts['lines']:,} raw lines ({facts['raw_mib']:.0f} MiB), {facts['frames']:,} frames; {named} found the "
        f"same {facts['rows']:,} rows of latency.jsonl as muxd in the same order of decision (floats within "
        f"{TOLERANCE:g}; what is absent in muxd's rows is null in theirs). {facts['rounds']} rounds, in turn: median "
        "(least to greatest). They use every core, muxd one: wall time shows that, CPU time does not.",
        "",
        "What they leave out, and nothing was subtracted from muxd's figures for it:",
        "",
        *(f"- {what}" for what in LEFT_OUT),
    ]
    header = ["program", "wall s", "CPU s", "k lines / CPU s", "peak MiB"]
    return Section("Replay beside DuckDB and Polars", header, rows, notes, facts)


def ratio(theirs: list[Used], ours: list[Used]) -> dict[str, Spread]:
    rounds = list(zip(theirs, ours, strict=True))
    return {
        "wall": Spread.of([b.wall_s / a.wall_s for b, a in rounds]),
        "cpu": Spread.of([b.cpu_s / a.cpu_s for b, a in rounds]),
        "peak": Spread.of([b.peak_mib / a.peak_mib for b, a in rounds]),
    }


def ratio_row(name: str, spreads: dict[str, Spread]) -> list[str]:
    return [name, spreads["wall"].text(), spreads["cpu"].text(), "", f"{spreads['peak'].middle:.1f}"]
