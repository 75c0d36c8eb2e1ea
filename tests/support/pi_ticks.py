"""Ticks of pimon that a test writes by hand, and what the telemetry logger's tables must then hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchlab.event import Event
from benchlab.session import Session
from benchlab.sim import NS, SEED, LoadModel
from pimon.simulated import SimulatedSampler
from pimon.snapshot import Snapshot, event_kv
from support.logger_databases import asked
from support.mux_scenarios import T0
from support.mux_sessions import MS
from support.sink_sessions import lines_with_offsets, store_path

SYSTEM: dict[str, Any] = {
    "cpu_util_pct": 25.0,
    "cpu_freq_mhz": 1500.0,
    "load1": 0.5,
    "load5": 0.4,
    "load15": 0.3,
    "cpu_temp_c": 51.0,
    "cores": [{"core": 0, "util_pct": 20.0}, {"core": 1, "util_pct": 30.0}, {"core": 2}],
}
BATTERY: dict[str, Any] = {"voltage_v": 7.5, "current_a": -0.4, "power_w": -3.0, "capacity_pct": 80.0}
PROCESSES: list[dict[str, Any]] = [
    {"pid": 1, "name": "init", "start_time_s": 1.0, "cpu_pct": 0.5, "mem_pct": 0.1},
    {"pid": 77, "name": "cc1", "start_time_s": 9.0, "cpu_pct": 99.0, "mem_pct": 3.5},
]


def tick(
    ms: float,
    *,
    system: dict[str, Any] = SYSTEM,
    battery: dict[str, Any] | None = BATTERY,
    processes: list[dict[str, Any]] = PROCESSES,
    cpu: float | None = None,
    sim: bool = False,
) -> list[Event]:
    """Return the events of one tick; ``cpu`` replaces the load, so that ticks differ."""
    ts_ns = T0 + int(ms * MS)
    kv = dict(system) if cpu is None else {**system, "cpu_util_pct": cpu}
    events = [Event(ts_ns, "pi.system", kv, sim=sim)]
    events += [] if battery is None else [Event(ts_ns, "pi.battery", dict(battery), sim=sim)]
    return [*events, Event(ts_ns, "pi.processes", {"processes": processes}, sim=sim)]


def simulated(seconds: int, step_s: int = 5) -> Iterator[tuple[Snapshot, list[Event]]]:
    """Yield the ticks of a simulated Pi that runs on its battery, with their events as pimon writes them."""
    clock = [T0]
    sampler = SimulatedSampler(LoadModel(SEED), lambda: clock[0], T0, top_procs=10)
    for clock[0] in range(T0, T0 + seconds * NS, step_s * NS):
        found = sampler.sample()
        assert found.battery is not None
        events = [
            Event(found.ts_ns, "pi.system", event_kv(found.system), sim=True),
            Event(found.ts_ns, "pi.battery", event_kv(found.battery), sim=True),
            Event(found.ts_ns, "pi.processes", {"processes": [event_kv(p) for p in found.processes]}, sim=True),
        ]
        yield found, events


def expected(session: Session) -> list[tuple[Any, ...]]:
    """Return each tick of the log that has a row: time, load, battery, cores, processes; by the obvious way."""
    found: dict[int, dict[str, Any]] = {}
    for _, line in lines_with_offsets(session.raw / "pimon.jsonl"):
        if line["source"].startswith("pi."):
            found.setdefault(line["ts_ns"], {}).update(line["kv"])
    return [
        (
            ts_ns,
            *(kv.get(name) for name in ("cpu_util_pct", "voltage_v", "current_a", "power_w", "capacity_pct")),
            [(core["core"], core["util_pct"]) for core in kv["cores"] if "util_pct" in core],
            sorted((p["pid"], p["name"], p["cpu_pct"], p["mem_pct"]) for p in kv.get("processes", [])),
        )
        for ts_ns, kv in sorted(found.items())
        if {"cpu_util_pct", "load1", "load5", "load15"} <= kv.keys()
    ]


def assert_ticks_are_the_log(session: Session) -> None:
    """Hold every row group of the store against the raw file."""
    path = store_path(session)
    columns = "ts, ts_ns, cpu_total, voltage, current, power, battery_pct"
    found = []
    for ts, *values in asked(path, f"SELECT {columns} FROM system_sample WHERE session = '{session.info.id}'"):
        cores = asked(path, f"SELECT core, usage FROM cpu_core WHERE ts = {ts} ORDER BY core")
        processes = asked(path, f"SELECT pid, name, cpu, mem FROM process_sample WHERE ts = {ts} ORDER BY pid")
        found.append((*values, cores, processes))
    assert sorted(found) == expected(session)
    (end,) = asked(path, "SELECT offset FROM cursor WHERE stream = 'raw/pimon.jsonl'")[0]
    assert end == (session.raw / "pimon.jsonl").stat().st_size
