"""Stages over the socket: whether any is lost at 100,000 a second, and what a call costs the program that makes it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchlab.event import META, PIPELINE, Event
from benchmarks.daemons import SESSION, Daemons
from benchmarks.measure import REPOSITORY, Load, Watched, program_env, python
from benchmarks.table import Section

RATE = 100_000
SECONDS = 10.0
CALL_SECONDS = 5.0
SLOW_RATE = 1_000
PROCESSES = (1, 8)
COLLECTOR = "pipeline_probes"
START_S = 30.0
QUIET_S = 3.0
ALIVE_BYTES = 1000
STREAM = f"sessions/{SESSION}/raw/pipeline.jsonl"
PEERS = {
    "logging": "logging, JSON into a file",
    "append": "json, one write to a file",
    "udp": "json, one UDP datagram, as statsd clients",
}


def stages(seconds: float) -> list[Section]:
    """Return what arrives of 100,000 stages a second, and what a call takes beside other ways to tell."""
    return [arrivals(min(seconds, SECONDS)), calls(min(seconds, CALL_SECONDS))]


def arrivals(seconds: float) -> Section:
    rows, facts = [], {}
    for processes in PROCESSES:
        with listening() as daemons:
            watched = Watched(daemons.processes[COLLECTOR].pid)
            said = send(daemons, "sdk", RATE / processes, seconds, processes)
            load = watched.load()
            wait_until_quiet(daemons.root / STREAM)
            peak_mib = watched.load().peak_mib
            held = found_in(daemons.root / STREAM)
        sent = sum(one["calls"] for one in said)
        found = {"sent": sent, "sent_s": sum(one["calls_s"] for one in said), **held}
        facts[f"{processes}"] = {**found, "load": vars(load), "peak_mib": peak_mib}
        rows.append(row(processes, found, load, peak_mib))
    notes = [
        f"{seconds:g} s each; the programs wake every millisecond and make the calls that are due. Lost: by the "
        "numbering of the senders, and what is missing in the file. Late: further behind the newest line of the file "
        "than its `disorder_ms`, which muxd would not use. Asked: 0 lost of 100,000 a second for 10 s."
    ]
    header = [
        *("programs", "stages/s", "sent", "in the file", "lost", "late", "most behind ms"),
        *("collector: % of a core", "peak MiB"),
    ]
    return Section("Stages: 100,000 a second", header, rows, notes, facts)


def row(processes: int, found: dict[str, Any], load: Load, peak_mib: float) -> list[str]:
    lost = max(found["lost"], found["sent"] - found["recorded"])
    numbers = [f"{found['sent_s']:.0f}", f"{found['sent']}", f"{found['recorded']}", f"{lost}", f"{found['late']}"]
    behind = f"{found['behind_ms']:.1f}"
    return [f"{processes}", *numbers, behind, f"{load.cpu_pct:.1f}", f"{peak_mib:.1f}"]


def calls(seconds: float) -> Section:
    """Measure single calls: with a collector that is live, stopped, or not there, and by other means."""
    found: dict[str, list[dict[str, float]]] = {}
    with listening() as daemons:
        collector = daemons.processes[COLLECTOR]
        found["benchlab.stage, collector live"] = both(daemons, "sdk", seconds)
        collector.send_signal(signal.SIGSTOP)
        found["benchlab.stage, collector stopped"] = both(daemons, "sdk", seconds)
        collector.send_signal(signal.SIGCONT)
        collector.kill()
        collector.wait()
        found["benchlab.stage, no collector"] = both(daemons, "sdk", seconds)
        for how, title in PEERS.items():
            found[title] = both(daemons, how, seconds)
    rows = [[title, *(figure for one in pair for figure in figures(one))] for title, pair in found.items()]
    notes = [
        f"{seconds:g} s each, one after the other, one program; a call after a sleep finds cold caches. In a row: as "
        "fast as they go. Asked: p99 under 50 µs with a collector that is dead or slow."
    ]
    header = [
        *("a call by", f"{SLOW_RATE}/s: p50 µs", "p99 µs"),
        *("in a row: p50 µs", "p99 µs", "calls/s"),
    ]
    facts = {title: {"paced": pair[0], "in_a_row": pair[1]} for title, pair in found.items()}
    return Section("Stages: what a call takes", header, rows, notes, facts)


def both(daemons: Daemons, how: str, seconds: float) -> list[dict[str, float]]:
    return [send(daemons, how, rate, seconds)[0] for rate in (SLOW_RATE, 0)]


def figures(one: dict[str, float]) -> list[str]:
    shown = [f"{one['p50_ns'] / 1e3:.1f}", f"{one['p99_ns'] / 1e3:.1f}"]
    return shown if one["calls_s"] <= SLOW_RATE * 1.01 else [*shown, f"{one['calls_s']:.0f}"]


@contextmanager
def listening() -> Iterator[Daemons]:
    """Run the collector on a socket of its own."""
    with Daemons() as daemons:
        daemons.start(COLLECTOR, "--listen", str(socket_of(daemons)))
        give_up_s = time.monotonic() + START_S
        while not (daemons.root / STREAM).exists():
            if time.monotonic() > give_up_s or daemons.processes[COLLECTOR].poll() is not None:
                raise SystemExit(f"{COLLECTOR} does not listen")
            time.sleep(0.05)
        yield daemons


def socket_of(daemons: Daemons) -> Path:
    return daemons.root / "stage.sock"


def send(daemons: Daemons, how: str, rate: float, seconds: float, processes: int = 1) -> list[dict[str, float]]:
    """Run senders side by side and return what each says."""
    out = daemons.root / f"{how}.out"
    out.unlink(missing_ok=True)
    command = python(REPOSITORY / "benchmarks" / "stage_sender.py", how, f"{rate}", f"{seconds}", out)
    env = {**program_env(), "BENCHLAB_STAGE_SOCKET": str(socket_of(daemons))}
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(processes)]
    said: list[dict[str, float]] = [json.loads(process.communicate()[0]) for process in running]
    return said


def wait_until_quiet(path: Path) -> None:
    """Wait until nothing more is written but that the collector is alive."""
    size, since_s = -1, time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        now = path.stat().st_size
        if now - size > ALIVE_BYTES:
            size, since_s = now, time.monotonic()
        time.sleep(0.1)


def found_in(path: Path) -> dict[str, float]:
    """Return how many stages a file holds, how far behind they are, and how many it says were lost."""
    newest_ns = recorded = late = lost = disorder_ns = behind_ns = 0
    decode = msgspec.json.Decoder(Event).decode
    with path.open("rb") as file:
        for line in file:
            event = decode(line)
            newest_ns = max(newest_ns, event.ts_ns)
            if event.source == PIPELINE:
                recorded += 1
                late += newest_ns - event.ts_ns > disorder_ns
                behind_ns = max(behind_ns, newest_ns - event.ts_ns)
            elif event.source == META:
                disorder_ns = event.kv.get("disorder_ms", disorder_ns // 10**6) * 10**6
                lost += event.kv["n"] if event.kv["event"] == "gap" else 0
    return {"recorded": recorded, "late": late, "lost": lost, "behind_ms": behind_ns / 1e6}
