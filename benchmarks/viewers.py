"""What viewers of the dashboard cost webd, and how long a row takes from the aligned file to the wire."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from subprocess import DEVNULL, Popen
from threading import Event as Flag
from threading import Thread

from benchlab.event import encode_lines
from benchlab.session import Session, open_session
from benchmarks.daemons import free_port
from benchmarks.measure import Load, Watched, program_env, python
from benchmarks.table import Section

FPS = 60
BACKLOG_S = 900
SETTLE_S = 4.0
SETTLE_EACH_S = 0.1  # until each has what is past
START_S = 30.0
VIEWERS = (0, 1, 10, 100)
TIMED = 10
"""With so many viewers the way of a row is timed."""
PAIR = ["ingress", "encoded"]


def viewers(seconds: float) -> list[Section]:
    """Return the load by number of viewers, and the time from append to wire."""
    loads: dict[int, Load] = {}
    delays_ms: list[float] = []
    for count in VIEWERS:
        with Dashboard() as dashboard, dashboard.looking_on(count):
            time.sleep(SETTLE_S + SETTLE_EACH_S * count)
            dashboard.delays_ms.clear()
            watched = Watched(dashboard.process.pid)
            time.sleep(seconds)
            loads[count] = watched.load()
            if count == TIMED:
                delays_ms = list(dashboard.delays_ms)
    return [_loads(loads, seconds), _delays(delays_ms)]


class Dashboard:
    """A webd on a session of 15 minutes that goes on at 60 frames a second; rows lie as muxd writes them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-viewers-")))
        self.session = open_session(root, "bench")
        self.clock = self.session.clock()
        self.path = self.session.aligned / "latency.jsonl"
        self.delays_ms: list[float] = []
        self._appended_s: dict[int, float] = {}
        self._over = Flag()
        self.port = free_port()
        first_ns = self.clock.now_ns() - BACKLOG_S * 10**9
        count = BACKLOG_S * FPS
        self.path.write_bytes(encode_lines(row(first_ns + i * 10**9 // FPS, i) for i in range(count)))
        vouch(self.session, self.path.stat().st_size)
        where = ("--data-root", root, "--session", "bench", "--bind", f"127.0.0.1:{self.port}")
        command = python("-m", "webd", *where, "--log-level", "warning")
        self.process = Popen(command, env=program_env(), stdin=DEVNULL)
        self._appending = Thread(target=self._append, args=(count,), daemon=True)

    def __enter__(self) -> Dashboard:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        self._appending.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._appending.join()
        self.process.terminate()
        self.process.wait()
        self._stack.close()

    @contextmanager
    def looking_on(self, count: int) -> Iterator[None]:
        """Have viewers: one reads what it is sent and times it, the others take the bytes."""
        threads = []
        if count:
            threads = [Thread(target=self._time), Thread(target=self._take, args=(count - 1,))]
        for thread in threads:
            thread.start()
        yield
        self._over.set()
        for thread in threads:
            thread.join()

    def _append(self, number: int) -> None:
        next_s = time.monotonic()
        vouched_s = next_s
        with self.path.open("ab", buffering=0) as file:
            while not self._over.is_set():
                line = encode_lines([row(self.clock.now_ns(), number)])
                self._appended_s[number] = time.monotonic()
                file.write(line)
                number += 1
                next_s += 1 / FPS
                if next_s - vouched_s >= 1:
                    vouched_s = next_s
                    vouch(self.session, file.tell())
                time.sleep(max(0.0, next_s - time.monotonic()))

    def _time(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/api/stream")
        response = connection.getresponse()
        while not self._over.is_set():
            said = response.readline()
            now_s = time.monotonic()
            if said.startswith(b'data: {"pair"') and b'"frame":[' in said:
                for number in json.loads(said[6:])["frame"]:
                    began_s = self._appended_s.pop(number, None)
                    if began_s is not None:
                        self.delays_ms.append((now_s - began_s) * 1000)
        connection.close()

    def _take(self, count: int) -> None:
        with selectors.DefaultSelector() as selector:
            for _ in range(count):
                viewer = socket.create_connection(("127.0.0.1", self.port))
                viewer.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                selector.register(viewer, selectors.EVENT_READ)
            while not self._over.is_set():
                for key, _ in selector.select(0.1):
                    assert isinstance(key.fileobj, socket.socket)
                    if not key.fileobj.recv(1 << 18):
                        raise SystemExit("webd cut a viewer off")
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()


def row(ts_ns: int, number: int) -> dict[str, object]:
    """Return a frame's row."""
    kv = {
        "lat_ms": 8.0 + number % 500 / 100,
        "pair": PAIR,
        "frame": number,
        "match": "frame",
        "power_w": 240.0 + number % 77 / 7,
        "energy_j": 2.4 + number % 33 / 100,
        "power_age_ms": 3.1,
        "power_source": "benchlab.usb:p_sys",
        "temp_c": 42.3,
    }
    return {"ts_aligned_ns": ts_ns, "source": "metric.latency", "kv": kv, "unc_ns": 750_000}


def vouch(session: Session, length: int) -> None:
    """Say that the file is settled so far, as muxd does every second."""
    fresh = session.state / "mux.json.new"
    fresh.write_text(json.dumps({"generation": 1, "outputs": {"latency.jsonl": length}}))
    fresh.replace(session.state / "mux.json")


def _loads(loads: dict[int, Load], seconds: float) -> Section:
    rows = [
        [str(count), f"{load.cpu_pct:.2f}", f"{load.rss_mib:.1f}", f"{load.peak_mib:.1f}"]
        for count, load in loads.items()
    ]
    notes = [
        f"webd, {FPS} frames a second after a backlog of {BACKLOG_S // 60} minutes, {seconds:g} s each. "
        "Asked: with ten viewers under 2 % of a core and 80 MiB."
    ]
    facts = {str(count): vars(load) for count, load in loads.items()}
    return Section("Viewers: load", ["viewers", "% of a core", "RSS MiB", "peak MiB"], rows, notes, facts)


def _delays(delays_ms: list[float]) -> Section:
    if len(delays_ms) < 2:
        raise SystemExit("found no frame on the stream: is webd running?")
    cuts = quantiles(delays_ms, n=100)
    figures = {"frames": len(delays_ms), "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(delays_ms)}
    cells = [f"{figures['frames']}", *(f"{figures[name]:.1f}" for name in ("p50_ms", "p99_ms", "max_ms"))]
    notes = [f"From the append to the aligned file until a viewer has the row, {TIMED} viewers. Asked: under 50 ms."]
    return Section("Viewers: append to wire", ["frames", "p50 ms", "p99 ms", "max ms"], [cells], notes, figures)
