"""Random sessions with everything that goes wrong in real ones: losses, repetitions, disorder, gaps, late lines."""

from __future__ import annotations

from random import Random
from typing import Any

from benchlab.event import Event
from support.mux_oracle import MS, Rules

T0 = 1_763_800_000_000_000_000
PAIRS = [("ingress", "encoded"), ("encoded", "inference_done")]
POWER = [
    ["benchlab.usb:p_sys"],
    ["edge.*:power_total_watts"],
    ["gpu.nvml:power_w", "cpu.rapl:package_w"],
    ["gpu.nvml:power_w"],
]


def rules(random: Random) -> Rules:
    pairs = PAIRS[: random.choice([1, 1, 2])]
    return Rules(pairs, POWER, window_ns=100 * MS, max_gap_ns=60 * MS, grid_ns=random.choice([50, 100]) * MS)


def session(random: Random) -> dict[str, list[Event]]:
    """Return streams by file name, each in the order of its file."""
    streams = {"pipeline.jsonl": stages(random, "")}
    if random.random() < 0.5:
        streams["pipeline_yuan.jsonl"] = stages(random, "yuan")
    if random.random() < 0.8:
        streams["benchlab.jsonl"] = in_file_order(random, board(random), "benchlab.usb", 20)
    if random.random() < 0.7:
        streams["telemetry.jsonl"] = in_file_order(random, telemetry(random), "gpu.nvml", 50)
    if random.random() < 0.3:
        streams["edge.jsonl"] = in_file_order(
            random, meter(random, "edge.shelly", "power_total_watts"), "edge.shelly", 50
        )
    if random.random() < 0.5:
        streams["vmstat.jsonl"] = in_file_order(random, guests(random), "vm.libvirt", 20)
        for line in streams["vmstat.jsonl"]:
            if line.source == "meta" and "sources" in line.kv and random.random() < 0.1:
                line.kv["sources"][0]["remote"] = True
    return streams


def guests(random: Random) -> list[Event]:
    """Return the events of some VMs, most of them of one poll at one time; they restart, stop, hang and are reset."""
    events: list[Event] = []
    apart_ms = random.choice([0, 0, 0, 2])
    polls, every = range(random.randint(2, 14)), random.choice([20, 40, 50]) * MS
    start = T0 + random.choice([-20, 0, 35]) * MS
    for number in range(random.randint(1, 4)):
        dev, sim, vmid, total = f"vm-{number}", random.random() < 0.2, number + 1, random.randint(0, 10**12)
        hung = off = 0
        for poll in polls:
            if hung or random.random() < 0.08:
                hung = hung - 1 if hung else random.randint(0, 3)
                continue
            if random.random() < 0.05:
                vmid, total, off = vmid + 10, 0, random.choice([0, 0, 1, 2])
            kv: dict[str, Any] = {"vmid": vmid, "name": f"guest {number}", "state": "stopped" if off else "running"}
            if not off and random.random() < 0.95:
                total = random.randint(0, 5) if random.random() < 0.03 else total + random.randint(0, 30 * MS)
                kv["cputime_ns"] = total
            off = max(0, off - 1)
            at = start + poll * every + number * apart_ms * MS
            events.append(Event(ts_ns=at, source="vm.libvirt", kv=kv, dev=dev, sim=sim))
    return events


def processor(random: Random, trouble: float) -> list[Event]:
    events = meter(random, "cpu.psutil", "cpu_util", None, None, trouble)
    cores = [{"core": n, "util": 1.0} for n in range(random.choice([1, 4, 4, 4]))]
    for event in events:
        if "cpu_util" in event.kv:
            event.kv["cpu_util"] = random.choice([0.0, *[event.kv["cpu_util"] / 3] * 9])
            if random.random() >= trouble:
                event.kv["cores"] = cores
    return events


def stages(random: Random, flow: str) -> list[Event]:
    events: list[Event] = []
    identity = random.choice(["frame", "frame", "pts", "both", "none", "mixed"])
    for frame in range(random.randint(1, 25)):
        at = T0 + frame * random.choice([16, 17]) * MS
        for stage in ("ingress", "encoded", "inference_done"):
            if random.random() > 0.1:
                events.append(stage_event(random, at, stage, flow, frame, identity))
            if random.random() < 0.05:
                again = at + random.choice([0, 3, 40, 150]) * MS
                events.append(stage_event(random, again, stage, flow, frame, identity))
            at += random.choice([0, 5, 10, 11, 60, 120]) * MS
    return in_file_order(random, events, "pipeline", 20)


def stage_event(random: Random, at: int, stage: str, flow: str, frame: int, identity: str) -> Event:
    kv: dict[str, Any] = {"stage": stage}
    if flow:
        kv["flow"] = flow
    carried = random.choice(["frame", "pts", "both", "none"]) if identity == "mixed" else identity
    if carried in ("frame", "both"):
        kv["frame"] = frame
    if carried in ("pts", "both"):
        kv["pts_ns"] = frame // random.choice([1, 1, 2]) * 100
    unc = random.choice([None, None, 1000, 2000])
    return Event(ts_ns=at, source="pipeline", kv=kv, unc_ns=unc, sim=random.random() < 0.2)


def board(random: Random) -> list[Event]:
    events = meter(random, "benchlab.usb", "p_sys")
    for event in events:
        event.unc_ns = random.choice([None, 500_000, 900_000])
    return events


def telemetry(random: Random) -> list[Event]:
    events: list[Event] = []
    devices: list[list[str | None]] = [[None], ["gpu0"], ["gpu0", "gpu1"]]
    for dev in random.choice(devices):
        events += meter(random, "gpu.nvml", "power_w", dev, "energy_j")
    trouble = random.choice([0.05, 0.003, 0.0])
    if random.random() < 0.7:
        events += meter(random, "cpu.rapl", "package_w", None, "package_j", trouble)
    if random.random() < 0.8:
        events += processor(random, trouble)
    return events


def meter(
    random: Random, source: str, key: str, dev: str | None = None, counter: str | None = None, trouble: float = 0.05
) -> list[Event]:
    """Return a meter's events; with a ``trouble`` under 0.05 it hardly ever leaves, is reset or leaves a key out."""
    at = T0 + random.choice([-40, -20, 0, 30, 200]) * MS
    end = T0 + random.choice([200, 420, 600]) * MS
    total, sim = random.uniform(0, 100), random.random() < 0.3
    events: list[Event] = []
    while at < end:
        power = round(random.uniform(50, 300), 3)
        kv: dict[str, Any] = {key: power} if random.random() >= trouble else {}
        if random.random() < 0.7:
            kv["temp_c"] = round(random.uniform(30, 80), 1)
        if counter and random.random() >= 2 * trouble:
            total = 0.0 if random.random() < trouble else total + power * 0.02
            kv[counter] = total
        events.append(Event(ts_ns=at, source=source, kv=kv, dev=dev, sim=sim))
        if random.random() < trouble:
            down = {"event": "source_down", "which": source, "reason": "unplugged"}
            events.append(Event(ts_ns=at + 5 * MS, source="meta", kv=down, dev=random.choice([None, dev])))
        at += random.choice([10, 20, 20, 30, 40, 61, 90] if trouble == 0.05 else [10, 20, 20]) * MS
    return events


def in_file_order(random: Random, events: list[Event], source: str, disorder_ms: int) -> list[Event]:
    """Write the lines about when they were true, a few much later; with or without the stream's own story."""
    written = []
    for event in sorted(events, key=lambda e: e.ts_ns):
        delay = (
            random.choice([0, 0, 1, disorder_ms // 2, disorder_ms])
            if random.random() > 0.04
            else random.choice([60, 130, 260])
        )
        written.append((event.ts_ns + delay * MS, event))
    lines = [event for _, event in sorted(written, key=lambda pair: pair[0])]
    if random.random() < 0.8 and lines:
        told: dict[str, Any] = {"event": "start", "disorder_ms": disorder_ms}
        if random.random() < 0.8:
            told["sources"] = [
                {"source": source, "period_ms": random.choice([10, 20, 50]), "window_ms": random.choice([5, 30])}
            ]
        lines.insert(0, Event(ts_ns=min(e.ts_ns for e in lines) - MS, source="meta", kv=told))
    if random.random() < 0.6 and lines:
        lines.append(Event(ts_ns=max(e.ts_ns for e in lines) + MS, source="meta", kv={"event": "stop"}))
    return lines
