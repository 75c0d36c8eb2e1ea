"""Sessions with virtual machines, muxed, and a client of webd that looks at them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from starlette.testclient import TestClient

from benchlab.config import Config
from benchlab.event import Event
from benchlab.session import Session
from support.mux_scenarios import T0
from support.mux_sessions import NS, append, close_session, make_session, meta, numbered, opener
from support.web_api import fits
from webd.app import make_app
from webd.desk import Desk
from webd.vms.sightings import COLLECTOR, VM

CALM = "6695eb01-f6a4-8304-79aa-97f2502e193f"
LEAKY = "550e8400-e29b-41d4-a716-446655440000"
MINUTE_NS = 60 * NS
GIB_KB = 1024 * 1024


def reading(uuid: str, at_ns: int, **kv: Any) -> Event:
    """Return an event of a VM; what is not given is usual."""
    usual = {"vmid": 1, "name": "calm one", "state": "running", "cpu_count": 2, "memory_max_kb": 4 * GIB_KB}
    return Event(at_ns, VM, {**usual, "memory_used_from": "guest", **kv}, dev=uuid)


def poll(minute: int, random: Random) -> list[Event]:
    """Return the events of both VMs: one as it always is, one that leaks, swaps and waits for its disk in the end."""
    at_ns = T0 + minute * MINUTE_NS
    wave = math.sin(minute / 100)
    calm = reading(
        CALM,
        at_ns,
        memory_used_kb=int(GIB_KB + 1000 * random.gauss(0, 1)),
        cputime_ns=minute * 18 * NS,
        cpu_pct=30.0 + wave + random.gauss(0, 1),
        block_latency_ms=1.0 + 0.1 * random.random(),
    )
    leaky = reading(
        LEAKY,
        at_ns,
        vmid=2,
        name='leaky, "two"',
        memory_used_kb=int(GIB_KB + minute * 5000 + 1000 * random.gauss(0, 1)),
        cputime_ns=minute * 90 * NS,
        cpu_pct=150.0 + random.gauss(0, 1) - (149 if minute > 400 else 0),
        block_latency_ms=150.0 if minute > 390 else 2.0,
        swap_in_kb_s=500.0 if minute > 390 else 0.0,
        swap_out_kb_s=0.0,
        vcpus=[{"id": 0, "state": "running", "time_ns": 5}],
    )
    collector = {"started_at_ns": T0, "total_collections": minute, "total_errors": 1, "vms_monitored": 2}
    kept = {"last_collection_time_ns": at_ns, "total_metrics_written": 4 * minute}
    return [calm, leaky, Event(at_ns, COLLECTOR, {**collector, **kept})]


def write_vms(session: Session, minutes: int = 420, *, energy: bool = True) -> None:
    """Record two VMs, and over the last three minutes the host's energy and processor time."""
    random = Random(4)
    started = meta(-100, "start", sources=[{"source": VM, "stamping": "midpoint", "period_ms": 60_000.0}])
    events = [event for minute in range(minutes) for event in poll(minute, random)]
    append(session, "vmstat", numbered([started, *events]))
    if not energy:
        return
    first_ns = T0 + (minutes - 4) * MINUTE_NS
    host = []
    for second in range(3 * 60 + 2):
        at_ns = first_ns + second * NS
        host.append(Event(at_ns, "cpu.rapl", {"package_j": 20.0 * second}))
        host.append(Event(at_ns, "cpu.psutil", {"cpu_util": 50.0, "cores": [{"core": n} for n in range(4)]}))
    append(session, "telemetry", numbered(host))


def mux(session: Session) -> None:
    """Close a session and have muxd decide all of it."""
    close_session(session)
    muxing = opener(session).open()
    while muxing.step(excuse_exhausted=True):
        pass
    muxing.finish()
    muxing.close()


def lab(data_root: Path, name: str = "lab") -> Session:
    return make_session(data_root / "sessions" / name)


def client(data_root: Path, name: str = "lab", **influx: Any) -> TestClient:
    """Return a client of a webd that shows a session."""
    config = msgspec.structs.replace(Config(), influx=msgspec.structs.replace(Config().influx, **influx))
    return TestClient(make_app(Desk(data_root, config, name)), base_url="http://127.0.0.1")


def get(of: TestClient, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON of an answer, which must be as the document of the API describes it."""
    answer = of.get(path, params=dict(params or {}))
    assert answer.status_code == 200, answer.text
    name = {"vms": "Vms", "history": "VmHistory"}.get(path.rsplit("/", 1)[-1], "VmStats")
    found: dict[str, Any] = fits(name, answer.json())
    return found
