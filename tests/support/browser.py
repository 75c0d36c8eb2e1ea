"""A real browser before the real dashboard: what is started, and what no page may ever do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

from benchlab import cli
from support.tree import REPOSITORY, program_env

WEB = REPOSITORY / "web"
PATIENCE_S = 30.0
PATIENCE_MS = PATIENCE_S * 1000

LOST_CONNECTION = (
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_CONTENT_LENGTH_MISMATCH",
    "ERR_EMPTY_RESPONSE",
    "ERR_INCOMPLETE_CHUNKED",
)
"""What Chromium says of a server that went away, before, within and after its answer."""

# A browser that asks nobody but the pages it is given.
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Program:
    """A program of the product, with what it says in a file."""

    def __init__(self, log: Path, module: str, *words: str, **env: str) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env=program_env(**env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"{self.log}: did not end at {number.name}") from None


class Webd:
    """webd over a data root, on a port that stays its own when it is started again."""

    def __init__(self, data_root: Path, log: Path, *words: str, **env: str) -> None:
        self.data_root = data_root
        self._env = env
        self.url = f"http://127.0.0.1:{cli.free_port()}"
        self._words = ("--data-root", str(data_root), "--bind", self.url.removeprefix("http://"), *words)
        self._log = log
        self.start()

    def start(self) -> None:
        self._program = Program(self._log, "webd", *self._words, **self._env)
        until(self._answers, lambda: self._log.read_text())

    def kill(self) -> None:
        self._program.end(signal.SIGKILL)

    def stop(self) -> int:
        return self._program.end()

    def ask(self, path: str) -> Any:
        """Return what the API answers, as JSON."""
        return json.loads(self.fetch(path))

    def fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            found: bytes = answer.read()
            return found

    def _answers(self) -> bool:
        assert not self._program.has_ended, self._log.read_text()
        try:
            return bool(self.ask("/healthz"))
        except OSError:
            return False


def until(condition: Any, told: Any = lambda: "waited in vain") -> Any:
    """Ask until it is true; return what it said. ``told`` says what to show when it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
    return found


class Visitor:
    """A person's page, watched: it never asks another host, and never logs an error that no test expects."""

    def __init__(self, context: BrowserContext, webd: Webd) -> None:
        self.page: Page = context.new_page()
        self.webd = webd
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        context.on("request", self._on_request)

    def open(self, path: str) -> Page:
        self.page.goto(self.webd.url + path)
        return self.page

    def open_session(self, name: str, query: str = "") -> Page:
        return self.open(f"/sessions/?id={quote(name, safe='')}{query}")

    def forgive(self, *words: str) -> None:
        """Drop what the browser itself logs of requests that a test made fail; nothing else."""
        self.errors = [said for said in self.errors if not any(word in said for word in words)]

    def forgive_lost_connection(self) -> None:
        self.forgive(*LOST_CONNECTION)

    def forgive_status(self, status: int) -> None:
        self.forgive(f"status of {status}")

    def judge(self) -> None:
        """Fail for what a page must never do."""
        assert not self.strangers, self.strangers
        assert not self.errors, self.errors

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.webd.url:
            self.strangers.append(request.url)


@contextmanager
def simulators(data_root: Path, log: Path, *words: str) -> Iterator[Program]:
    """Record the current session with simulated devices and muxd until the end of the block."""
    bind = f"127.0.0.1:{cli.free_port()}"
    demo = Program(log, "benchctl", "demo", "--no-web", "--data-root", str(data_root), *words, BENCHLAB_PROM=bind)
    try:
        latency = data_root / "sessions" / "current" / "aligned" / "latency.jsonl"
        until(lambda: latency.exists() and latency.read_bytes().count(b"\n") > 60, lambda: log.read_text())
        yield demo
    finally:
        if not demo.has_ended:
            demo.end(signal.SIGINT)


def aligned_rows(session: Path, pair: Sequence[str] = ("ingress", "encoded")) -> list[dict[str, Any]]:
    """Return the latency rows of a pair as the file has them."""
    lines = (session / "aligned" / "latency.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["source"] == "metric.latency" and row["kv"]["pair"] == list(pair)]


def why_not_built() -> str | None:
    """Say what is wrong with the built dashboard, None if nothing is."""
    built = WEB / "out" / "index.html"
    if not built.exists():
        return "web/out is not there; to run this test: cd web && npm ci && npm run build"
    if not (WEB / "node_modules" / "axe-core" / "axe.min.js").exists():
        return "axe-core is not there; to run this test: cd web && npm ci"
    return None


def in_ci() -> bool:
    return bool(os.environ.get("CI"))
