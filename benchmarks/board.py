"""benchlabd and a program on the maker's client, each with an emulated board of its own, at the same time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.daemons import Daemons
from benchmarks.measure import REPOSITORY, Load, Watched, program_env, python
from benchmarks.table import Section

RATES_HZ = (10, 100)
SETTLE_S = 2.0
START_S = 30.0
LATENCY_MS, P99_MS = 1.5, 4.0
OURS, MAKERS = "benchlabd", "maker's client"


def board(seconds: float) -> list[Section]:
    """Read boards at the usual rate and at a hundred a second."""
    rows, facts = [], {}
    for hz in RATES_HZ:
        found = facts[f"{hz} Hz"] = _at(hz, seconds)
        rows += [row(f"{name}, {hz} Hz asked", one) for name, one in found.items()]
    header = ["program", "readings/s", "late ticks", "longest gap ms", "round trip ms", "% of a core", "RSS MiB"]
    notes = [
        f"An emulated BENCHLAB on a pty for each, whose answers take {LATENCY_MS:g} ms (99 in 100 under {P99_MS:g} ms) "
        f"as over USB; both programs at the same time, for {seconds:g} s. The round trip is the median, and the 99th "
        "percentile. The maker's client (benchlab-pycore) waits 50 ms before it reads each answer and tells no round "
        "trip. Asked of benchlabd: 100 readings a second sustained; under 1 % of a core and 30 MiB at 10 Hz."
    ]
    return [Section("Board", header, rows, notes, facts)]


def _at(hz: int, seconds: float) -> dict[str, Any]:
    with ExitStack() as stack, Daemons() as daemons:  # the programs end before their boards
        links = [stack.enter_context(emulated(daemons.root.with_suffix(name))) for name in (".ttyACM0", ".ttyACM1")]
        daemons.start("benchlabd", "--device", str(links[0]), "--hz", str(hz), "--allow-fast-polling")
        lines = daemons.root / "makers.jsonl"
        command = python(REPOSITORY / "benchmarks" / "makers_reader.py", links[1], lines, str(hz))
        daemons.processes[MAKERS] = subprocess.Popen(command, env=program_env(), stdin=subprocess.DEVNULL)
        raw = daemons.root / "sessions/live/raw/benchlab.jsonl"
        _wait(lambda: _size(raw) and _size(lines), "no reading came")
        time.sleep(min(SETTLE_S, seconds))
        watched = {name: Watched(process.pid) for name, process in daemons.processes.items()}
        begins = {OURS: _size(raw), MAKERS: _size(lines)}
        time.sleep(seconds)
        loads = {name: one.load() for name, one in watched.items()}
        ours, theirs = _new(raw, begins[OURS]), _new(lines, begins[MAKERS])
    return {
        OURS: facts([e for e in ours if e["source"] == "benchlab.usb"], seconds, hz, loads[OURS]),
        MAKERS: facts(theirs, seconds, hz, loads[MAKERS]),
    }


@contextmanager
def emulated(link: Path) -> Iterator[Path]:
    """Have a board on a pty behind a link."""
    words = ("--link", link, "--latency-ms", str(LATENCY_MS), "--p99-ms", str(P99_MS), "--log-level", "warning")
    command = python("-m", "benchctl", "emulate", "benchlab", *words)
    process = subprocess.Popen(command, env=program_env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait(link.exists, "the emulator does not start")
        yield link
    finally:
        process.terminate()
        process.wait()


def _wait(happened: Any, otherwise: str) -> None:
    give_up_s = time.monotonic() + START_S
    while not happened():
        if time.monotonic() > give_up_s:
            raise SystemExit(otherwise)
        time.sleep(0.02)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _new(path: Path, begin: int) -> list[dict[str, Any]]:
    """Return the whole lines behind a place in a file, but for the one that it lies in."""
    _, _, rest = path.read_bytes()[begin:].partition(b"\n")
    return [msgspec.json.decode(line) for line in rest.rpartition(b"\n")[0].splitlines()]


def facts(events: Sequence[dict[str, Any]], seconds: float, hz: int, load: Load) -> dict[str, Any]:
    """Return how often and how evenly a program read, and what that took."""
    times = [event["ts_ns"] for event in events]
    trips_ms = sorted(event["cal"]["rtt_ns"] / 1e6 for event in events if "cal" in event)
    gaps_ms = [(b - a) / 1e6 for a, b in pairwise(times)]
    span_s = (times[-1] - times[0]) / 1e9 if len(times) > 1 else seconds
    late = sum(max(0, round(gap * hz / 1000) - 1) for gap in gaps_ms)
    trips = {"p50": median(trips_ms), "p99": trips_ms[int(0.99 * (len(trips_ms) - 1))]} if trips_ms else None
    rate = (len(times) - 1) / span_s if times else 0.0
    return {"readings_s": rate, "late": late, "gap_ms": max(gaps_ms, default=0.0), "trip_ms": trips, **vars(load)}


def row(name: str, one: dict[str, Any]) -> list[str]:
    trips = one["trip_ms"]
    return [
        name,
        f"{one['readings_s']:.2f}",
        str(one["late"]),
        f"{one['gap_ms']:.0f}",
        f"{trips['p50']:.1f}, {trips['p99']:.1f}" if trips else "",
        f"{one['cpu_pct']:.2f}",
        f"{one['rss_mib']:.1f}",
    ]
