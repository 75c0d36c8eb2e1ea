"""A daemon that runs in a thread of the test and writes a real log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep, time_ns
from typing import Any

import msgspec

from benchlab.daemon import Daemon, Source
from benchlab.event import Event
from benchlab.log.writer import LogWriter

PATIENCE_S = 15.0


class Timeline:
    """A clock whose wall clock the test may move."""

    def __init__(self) -> None:
        self.moved_ns: int | None = None

    def now_ns(self) -> int:
        return time_ns()

    def step_ns(self) -> int | None:
        moved, self.moved_ns = self.moved_ns, None
        return moved


class Running:
    """A daemon, its log, and how to wait for what must come."""

    def __init__(self, path: Path, sources: Sequence[Source], **options: Any) -> None:
        self.path = path
        self.timeline = Timeline()
        self.stop = threading.Event()
        self.code: int | None = None
        writer = LogWriter(path, path.with_suffix(".lock"), clock=self.timeline.now_ns)
        options = {"deadline_s": 0.3, "backoff_s": (0.02, 0.1), "env": {}, **options}
        self.daemon = Daemon("testd", sources, writer, self.timeline, 0.02, stop=self.stop, **options)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.code = self.daemon.run()

    def events(self) -> list[Event]:
        """Return everything in the log so far."""
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        return [msgspec.json.decode(line, type=Event) for line in whole.splitlines()]

    def metas(self, kind: str) -> list[dict[str, Any]]:
        return [event.kv for event in self.events() if event.source == "meta" and event.kv["event"] == kind]

    def of(self, source: str) -> list[Event]:
        return [event for event in self.events() if event.source == source]

    def until(self, happened: Callable[[], object]) -> None:
        """Wait for something, and fail if it never comes."""
        give_up = monotonic() + PATIENCE_S
        while not happened():
            assert monotonic() < give_up, "it never happened"
            sleep(0.01)

    def end(self) -> list[Event]:
        """Stop the daemon and return its whole log."""
        self.stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.events()
