"""A day at 60 frames a second in the dashboard: indexing it, opening it, zooming in, and what webd needs for that."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from subprocess import DEVNULL, Popen
from typing import Any

from benchlab.query.pair_rows import ByPair, LatencyLine, take
from benchlab.query.segments import read_range
from benchmarks.collectors import wait_for
from benchmarks.daemons import free_port
from benchmarks.long_session import FRAME_NS, START_NS, write_long_session
from benchmarks.measure import MIB, Spread, Watched, program_env, python
from benchmarks.table import Section

DAY = 24 * 3600 * 60
ROUNDS = 15
STRETCHES_S = (4 * 3600, 3600, 600, 60, 5)


def history(frames: int) -> list[Section]:
    """Write a session of so many frames, and ask a webd about it."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-history-") as folder:
        root = Path(folder)
        session = root / "sessions" / "day"
        size = write_long_session(session, frames)
        plain_s = one_pass(session / "aligned" / "latency.jsonl")
        port = free_port()
        where = ("--data-root", root, "--bind", f"127.0.0.1:{port}", "--log-level", "warning")
        process = Popen(python("-m", "webd", *where), env=program_env(), stdin=DEVNULL)
        try:
            wait_for(port)
            asked = Asked(port)
            before = Watched(process.pid).load()
            began_s = time.perf_counter()
            asked.until_indexed()
            build_s = time.perf_counter() - began_s
            built = Watched(process.pid).load()
            times = measured(asked, frames)
            after = Watched(process.pid).load()
        finally:
            process.terminate()
            process.wait()
        index = (session / "state" / "index" / "history.db").stat().st_size
    return [_section(frames, size, index, plain_s, build_s, times, (before.rss_mib, built.peak_mib, after.peak_mib))]


def one_pass(path: Path) -> float:
    """Return how long it takes to read all rows, once, as a dashboard without an index would for every answer."""
    began_s = time.perf_counter()
    for batch in read_range(path, LatencyLine, (0, path.stat().st_size)):
        found: ByPair = {}
        take(batch, found)
    return time.perf_counter() - began_s


class Asked:
    """Requests to a webd, one after the other."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str) -> Any:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} was answered with {answer.status}: {data[:200]!r}")
        return json.loads(data)

    def until_indexed(self) -> None:
        """Ask until both files are indexed."""
        for what in ("latency", "signals"):
            while self.get(f"/api/sessions/day/{what}?points=10")["indexing"] < 1:
                time.sleep(1.0)


def measured(asked: Asked, frames: int) -> dict[str, Spread]:
    """Return how long each kind of request takes, in ms; stretches lie anywhere in the session."""
    random = Random(1)
    first_ms, last_ms = START_NS / 1e6, (START_NS + frames * FRAME_NS) / 1e6

    def stretch(seconds: int) -> str:
        length_ms = min(seconds * 1000, last_ms - first_ms)
        from_ms = random.uniform(first_ms, last_ms - length_ms)
        return f"/api/sessions/day/latency?from={from_ms:.3f}&to={from_ms + length_ms:.3f}"

    kinds: dict[str, Callable[[], str]] = {
        "list of sessions": lambda: "/api/sessions",
        "overview, 1,000 points": lambda: "/api/sessions/day/latency",
        "overview, 10,000 points": lambda: "/api/sessions/day/latency?points=10000",
        "overview of a signal": lambda: "/api/sessions/day/signals?source=gpu.nvml&key=power_w",
    }
    for seconds in STRETCHES_S:
        kinds[f"zoom to {seconds} s"] = lambda seconds=seconds: stretch(seconds)  # type: ignore[misc]
    return {name: Spread.of([timed(asked, path()) for _ in range(ROUNDS)]) for name, path in kinds.items()}


def timed(asked: Asked, path: str) -> float:
    began_s = time.perf_counter()
    asked.get(path)
    return (time.perf_counter() - began_s) * 1000


def _section(
    frames: int,
    size: int,
    index: int,
    plain_s: float,
    build_s: float,
    times: dict[str, Spread],
    memory: tuple[float, float, float],
) -> Section:
    rows = [[name, spread.text(0), f"{plain_s * 1000 / spread.middle:,.0f}"] for name, spread in times.items()]
    notes = [
        f"{frames:,} frames, {size / MIB:,.0f} MiB of latency.jsonl; the index takes {index / MIB:.1f} MiB and "
        f"{build_s:.1f} s to make, once. One pass over the rows takes {plain_s:.1f} s: the last column is how many "
        f"times as long that is. webd: {memory[0]:.1f} MiB at first, at most {memory[1]:.1f} while it indexes, "
        f"{memory[2]:.1f} in all. {ROUNDS} requests each over one connection, JSON decoded: median (least to "
        "greatest). Asked: overview under 1,000 ms, zoom under 200 ms, webd under 80 MiB."
    ]
    facts = {
        "build_s": build_s,
        "index_bytes": index,
        "one_pass_s": plain_s,
        "peak_mib": memory[2],
        **{name: {"ms": vars(spread)} for name, spread in times.items()},
    }
    return Section("History: a long session in the dashboard", ["answer", "ms", "one pass / it"], rows, notes, facts)
