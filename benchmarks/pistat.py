"""The API of pimon under 500 requests a second: errors, how long an answer takes, and what it costs the program."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.collectors import wait_for
from benchmarks.daemons import Daemons, free_port
from benchmarks.live import percentiles
from benchmarks.measure import Load, Watched
from benchmarks.table import Section

RATE = 500
CLIENTS = 8
WAYS = {
    "idle": None,
    "/stats, connections kept": ("/stats", True),
    "/stats, a connection each": ("/stats", False),
    "/stats?cache=false, kept": ("/stats?cache=false", True),
}
IDLE_S = 10.0


@dataclass
class Asked:
    """What one client saw."""

    took_ms: list[float] = field(default_factory=list)
    errors: int = 0


def pistat(seconds: float) -> list[Section]:
    """Ask a running pimon in several ways, one after the other."""
    port = free_port()
    rows, facts = [], {}
    with Daemons() as daemons:
        daemons.start("pimon", "--host", "127.0.0.1", "--port", str(port))
        wait_for(port)
        time.sleep(min(IDLE_S, seconds))
        for name, way in WAYS.items():
            watched, began_s = Watched(daemons.processes["pimon"].pid), time.monotonic()
            asked = ask(port, *way, seconds) if way else Asked()
            if not way:
                time.sleep(seconds)
            rate, load = len(asked.took_ms) / (time.monotonic() - began_s), watched.load()
            rows.append(row(name, asked, rate, load))
            facts[name] = {"requests_s": rate, "errors": asked.errors, **vars(load)}
    notes = [
        f"This host, recorded every 5 s, for {seconds:g} s each in this order; {CLIENTS} clients ask at {RATE} a "
        "second together, or as often as they are answered: those with cache=false share samples that are 0.1 s apart. "
        "Asked: no error at 500 requests/s, bounded memory, under 35 MiB."
    ]
    columns = ["asked", "requests/s", "errors", "p50 ms", "p99 ms", "% of a core", "RSS MiB", "peak MiB"]
    return [Section("pimon: requests", columns, rows, notes, facts)]


def ask(port: int, path: str, is_kept: bool, seconds: float) -> Asked:
    """Return what all clients together saw."""
    end_s = time.monotonic() + seconds
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, port, path, is_kept, end_s) for _ in range(CLIENTS)]
        seen = [each.result() for each in clients]
    return Asked([ms for one in seen for ms in one.took_ms], sum(one.errors for one in seen))


def client(port: int, path: str, is_kept: bool, end_s: float) -> Asked:
    """Ask at this client's share of the rate; what is late is caught up with."""
    asked, due_s = Asked(), time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while due_s < end_s and time.monotonic() < end_s:
        time.sleep(max(0.0, due_s - time.monotonic()))
        due_s += CLIENTS / RATE
        began_s = time.perf_counter()
        try:
            connection.request("GET", path, headers={} if is_kept else {"Connection": "close"})
            answer = connection.getresponse()
            asked.errors += answer.status != 200 or len(answer.read()) == 0
        except (OSError, http.client.HTTPException):
            asked.errors += 1
            connection.close()
        asked.took_ms.append(1000 * (time.perf_counter() - began_s))
        if not is_kept:
            connection.close()
    connection.close()
    return asked


def row(name: str, asked: Asked, rate: float, load: Load) -> list[str]:
    took = [f"{ms:.1f}" for ms in percentiles(asked.took_ms)] if asked.took_ms else ["", ""]
    counts = [f"{rate:.0f}", f"{asked.errors}"] if asked.took_ms else ["", ""]
    return [name, *counts, *took, f"{load.cpu_pct:.1f}", f"{load.rss_mib:.1f}", f"{load.peak_mib:.1f}"]
