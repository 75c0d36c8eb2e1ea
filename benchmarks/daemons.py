"""The product's daemons, run on simulated devices in a data root of their own."""

from __future__ import annotations

import http.client
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from benchmarks.measure import Load, Watched, program_env, python

SESSION = "live"
METERS = (("telemetryd", "--simulate"), ("benchlabd", "--simulate"))
START_S = 30.0


class Daemons:
    """Starts daemons and stops them all when the block is left."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-live-")))
        self.config = self.root / "config.toml"
        self.config.touch()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.port = free_port()

    def __enter__(self) -> Daemons:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait()
        self._stack.close()

    def start(self, module: str, *args: str) -> None:
        """Start a daemon on the common session; what it has to say goes to stderr."""
        where = ("--config", self.config, "--data-root", self.root, "--session", SESSION, "--log-level", "warning")
        command = python("-m", module, *where, *args)
        self.processes[module] = subprocess.Popen(command, env=program_env(), stdin=subprocess.DEVNULL)

    def start_muxd(self) -> None:
        """Start muxd and wait until it answers. Exits where it does not."""
        self.start("muxd", "--prom-bind", f"127.0.0.1:{self.port}")
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and self.processes["muxd"].poll() is None:
            try:
                return Scraper(self.port).connect()
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise SystemExit("muxd does not answer")

    def events(self) -> dict[str, int]:
        """Return how many lines each stream holds."""
        return {path.stem: path.read_bytes().count(b"\n") for path in self.root.glob(f"sessions/{SESSION}/raw/*.jsonl")}

    def watch(self, seconds: float) -> dict[str, Load]:
        """Return what each daemon uses while /metrics is scraped once a second."""
        watched = {name: Watched(process.pid) for name, process in self.processes.items()}
        scraper = Scraper(self.port)
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            scraper.scrape()
            time.sleep(min(1.0, left_s))
        return {name: one.load() for name, one in watched.items()}


class Scraper:
    """Fetches /metrics over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def connect(self) -> None:
        """Open the connection. Raises ConnectionRefusedError while nobody answers."""
        self._connection.connect()

    def scrape(self) -> bytes:
        self._connection.request("GET", "/metrics")
        return self._connection.getresponse().read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
