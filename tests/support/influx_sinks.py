"""Sessions on their way to an InfluxDB, and the points that it must then hold, worked out the slow and obvious way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchlab.config import Config
from benchlab.config_schema import Influx
from benchlab.event import Event
from benchlab.session import Session
from muxd.sinks.influx_sink import InfluxSink, make
from muxd.sinks.worker import Worker
from support.fake_influx import Key
from support.line_protocol import Value
from support.mux_scenarios import T0
from support.mux_sessions import MS, append, make_session, meta, mux_closed, numbered, power, stage
from support.sink_sessions import bookmark, drain, lines_with_offsets, worker

UUID = "550e8400-e29b-41d4-a716-446655440000"


def sink_of(session: Session, url: str, **influx: Any) -> InfluxSink:
    return make(session, Config(influx=Influx(influx_url=url, **influx)))


def influx_worker(session: Session, url: str, **influx: Any) -> Worker:
    return worker(session, sink_of(session, url, **influx), "influx")


def store_in(session: Session, url: str, **influx: Any) -> Worker:
    """Store all that is vouched for, as a program that is started, works and ends."""
    working = drain(influx_worker(session, url, **influx))
    working.close()
    return working


def vm(ms: float, dev: str = UUID, sim: bool = False, **kv: Any) -> Event:
    """Return a reading of a running guest; a key given as None is absent."""
    said: dict[str, Any] = {
        "vmid": 1,
        "name": "ubuntu-vm",
        "state": "running",
        "cpu_count": 2,
        "memory_max_kb": 2_097_152,
        "memory_used_kb": 1_048_576,
        "cputime_ns": 5_000_000_000,
        **kv,
    }
    told = {key: value for key, value in said.items() if value is not None}
    return Event(ts_ns=T0 + int(ms * MS), source="vm.libvirt", dev=dev, kv=told, sim=sim)


def guests(polls: int = 4) -> list[Event]:
    """Return readings of a running guest and a stopped one, of which less is known."""
    found: list[Event] = [meta(-1, "start", disorder_ms=200)]
    for poll in range(polls):
        at = poll * 5000
        rates: dict[str, Any] = {"memory_rate_kb_per_sec": 1024.5 * poll, "memory_angle_deg": 89.94} if poll else {}
        found.append(vm(at, cputime_ns=5_000_000_000 + poll, **rates))
        off: dict[str, Any] = {
            "vmid": 0,
            "name": "ab, c=d",
            "state": "stopped",
            "memory_used_kb": None,
            "cputime_ns": None,
        }
        found.append(vm(at, "a-b", **off))
    return numbered([*found, meta(polls * 5000, "stop")])


def busy_session(folder: Path, frames: int = 60, polls: int = 4) -> Session:
    """Return a muxed session with pairs, several of them at one nanosecond, drops, signals, marks and guests."""
    session = make_session(folder)
    stages = [meta(-1, "start", disorder_ms=20)]
    for frame in range(frames):
        at = frame // 3 * 48.0
        stages += [stage(at, "ingress", frame), stage(at + 10, "encoded", frame)]
    stages += [stage(frames * 16 + 100, "ingress", f"lost-{number}") for number in range(4)]
    watts = [power(ms, 100.0 + ms % 7) for ms in range(-50, frames * 16 + 200, 10)]
    append(session, "pipeline", numbered(stages))
    append(session, "benchlab", numbered([meta(-50, "start", disorder_ms=20), *watts]))
    marks = [bookmark(5, "one"), bookmark(5, "two\nlines"), bookmark(9, 'say "x\\y"')]
    append(session, "bookmarks", numbered([meta(1, "start"), *marks, meta(10, "stop")]))
    append(session, "vmstat", guests(polls))
    mux_closed(session)
    return session


def expected_keys(session: Session) -> Counter[tuple[str, int]]:
    """Return how many points of each measurement and time a server must hold."""
    return Counter((name, ts) for name, ts, _ in expected(session))


def expected(session: Session) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield measurement, time and values of every point that a session comes to, its tables apart."""
    for name in ("latency.jsonl", "signals.jsonl"):
        for _, row in lines_with_offsets(session.aligned / name):
            yield row["source"].replace(".", "_"), row["ts_aligned_ns"], row["kv"]
    for stream in ("bookmarks", "vmstat"):
        path = session.raw / f"{stream}.jsonl"
        for _, row in lines_with_offsets(path) if path.exists() else []:
            if row["source"] == "bookmark":
                yield "bookmark", row["ts_ns"], row["kv"]
            if row["source"] == "vm.libvirt":
                yield "vm_metrics", row["ts_ns"], row["kv"]
                if "memory_rate_kb_per_sec" in row["kv"]:
                    yield "vm_features", row["ts_ns"], row["kv"]


def assert_points_are_the_log(session: Session, points: dict[Key, dict[str, Value]]) -> None:
    """Hold every point against the log: each row once, sums exact."""
    assert Counter((name, ts) for name, _, ts in points) == expected_keys(session)
    for field in ("lat_ms", "energy_j", "p_sys", "cputime_ns", "memory_rate_kb_per_sec"):
        stored = sorted(
            float(fields[field]) for (name, _, _), fields in points.items() if field in fields and name != "vm_libvirt"
        )
        logged = sorted(
            float(kv[field])
            for name, _, kv in expected(session)
            if field in kv and name != "vm_libvirt" and (name == "vm_features") == (field == "memory_rate_kb_per_sec")
        )
        assert stored == logged, field
