"""Runs the sinks that the configuration names, a thread each, for every session that is being muxed."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from prometheus_client.core import Metric

from benchlab.config import Config
from benchlab.errors import Fault
from benchlab.session import Session
from muxd.sinks import figures
from muxd.sinks.feed import CHUNK_BYTES, Feed
from muxd.sinks.letters import DeadLetters
from muxd.sinks.sink import Sink
from muxd.sinks.worker import Worker

log = logging.getLogger("muxd")

LOOK_S = 1.0
DRAIN_S = 10.0
LEAVE_S = 2.0

Make = Callable[[str, Session, Config], Sink]


def make_sink(name: str, session: Session, config: Config) -> Sink:
    """Return a sink: ``make(session, config)`` of the module ``<name>_sink``. Raises ImportError."""
    module = import_module(f"muxd.sinks.{name}_sink")
    return cast(Sink, module.make(session, config))


def settings_of(name: str, config: Config) -> object:
    """Return a sink's own section of the configuration, None if it has none."""
    return getattr(config, name, None)


class Configured:
    """The configuration as its file says it now; one that became unusable changes nothing until it is mended."""

    def __init__(self, config: Config, path: Path | None, load: Callable[[], Config]) -> None:
        self._config = config
        self._path = path
        self._load = load
        self._seen = self._signature()

    def __call__(self) -> Config:
        """Return it, read again if the file was changed."""
        signature = self._signature()
        if signature != self._seen:
            self._seen = signature
            try:
                self._config = self._load()
            except Fault as fault:
                log.error("%s; the sinks stay as they are", fault.message)
        return self._config

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_ino, status.st_size) if status else None


class SinkThread:
    """One sink of one session at work. ``finish`` lets it end once it has stored everything, ``stop`` at once.

    ``settings`` is the section of the configuration that it was made with, None if it has none.
    """

    def __init__(self, worker: Worker, settings: object = None) -> None:
        self.worker = worker
        self.settings = settings
        self.tried_to_finish = False
        self._wake = threading.Event()
        self._finishing = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink {worker.name}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping.is_set()

    @property
    def is_worth_waiting(self) -> bool:
        """Whether it is at work and did not fail since it was asked to finish."""
        return self.is_alive and not (self.tried_to_finish and self.worker.failing)

    def finish(self) -> None:
        """Let it end as soon as nothing is left to store."""
        self._finishing.set()
        self._wake.set()

    def stop(self) -> None:
        """Ask it to end with the step it is in."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            finishing = self._finishing.is_set()
            delay_s = self.worker.step()
            if finishing and self.worker.is_idle:
                break
            self.tried_to_finish = finishing
            if delay_s and self._wake.wait(delay_s):
                self._wake.clear()
        self.worker.close()


class SinkRunner:
    """The sinks of all sessions that are being muxed.

    ``add`` a session when its muxing begins, ``finish`` it when it has ended, ``close`` before the program ends.
    Nothing here waits for a sink but ``close``.
    """

    def __init__(self, configured: Callable[[], Config], make: Make = make_sink) -> None:
        self._configured = configured
        self._make = make
        self._lock = threading.Lock()
        self._sessions: dict[Path, Session] = {}
        self._threads: dict[tuple[Path, str], SinkThread] = {}
        self._rejected: dict[str, Counter[str]] = {}
        self._lag_s: dict[str, float] = {}
        self._unusable: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="sinks", daemon=True)

    def start(self) -> None:
        """Begin to follow the configuration."""
        self._thread.start()

    def add(self, session: Session) -> None:
        """Run the sinks on a session from now on."""
        with self._lock:
            self._sessions[session.dir] = session
            self._arrange()

    def finish(self, session: Session) -> None:
        """Let the sinks of a session end when they have stored all of it."""
        with self._lock:
            self._sessions.pop(session.dir, None)
            for (folder, _), thread in self._threads.items():
                if folder == session.dir:
                    thread.finish()

    def close(self, drain_s: float = DRAIN_S, hurry: Callable[[], bool] = lambda: False) -> None:
        """Wait until the sinks that work have stored everything, then end all of them.

        At most ``drain_s`` seconds without progress are waited for, and two in all once ``hurry()`` says so.
        """
        self._stop.set()
        for session in list(self._sessions.values()):
            self.finish(session)
        self._wait(drain_s, hurry)
        left = [thread for thread in self._threads.values() if thread.is_alive]
        for thread in left:
            log.warning("sink %s has not stored everything: the next muxd on this session goes on", thread.worker.name)
            thread.stop()
        for thread in left:
            thread.join(LEAVE_S)

    def families(self) -> Iterator[Metric]:
        """Yield the metrics of all sinks; touches no file."""
        with self._lock:
            rejected = [(name, Counter(counts)) for name, counts in self._rejected.items()]
            lag_s = dict(self._lag_s)
        yield from figures.families(lag_s, rejected)

    def _wait(self, drain_s: float, hurry: Callable[[], bool]) -> None:
        now = time.monotonic()
        deadline, stored, hurried = now + drain_s, -1, False
        while any(thread.is_worth_waiting for thread in self._threads.values()) and time.monotonic() < deadline:
            if hurry() and not hurried:
                deadline, hurried = min(deadline, time.monotonic() + LEAVE_S), True
            total = sum(thread.worker.stored for thread in self._threads.values())
            if total != stored and not hurried:
                deadline, stored = time.monotonic() + drain_s, total
            time.sleep(0.02)

    def _look_after(self) -> None:
        while not self._stop.wait(LOOK_S):
            with self._lock:
                self._arrange()
                threads = list(self._threads.values())
            self._measure(threads)

    def _arrange(self) -> None:
        """Start what the configuration names, stop what it names no longer, and begin anew what it changed."""
        config = self._configured()
        wanted = {(folder, name) for folder in self._sessions for name in config.sinks.enabled}
        for key, thread in list(self._threads.items()):
            is_changed = thread.settings != settings_of(key[1], config)
            if key[0] in self._sessions and (key not in wanted or is_changed) and not thread.is_stopping:
                log.info("sink %s %s", key[1], "has other settings" if key in wanted else "is switched off")
                thread.stop()
            if not thread.is_alive:
                del self._threads[key]
        for folder, name in sorted(wanted - self._threads.keys()):
            self._begin(self._sessions[folder], name, config)

    def _begin(self, session: Session, name: str, config: Config) -> None:
        try:
            sink = self._make(name, session, config)
        except (Fault, ImportError) as error:
            if name not in self._unusable:
                log.error("sink %s cannot be used: %s", name, error)
            self._unusable.add(name)
            return
        rejected = self._rejected.setdefault(name, Counter())
        letters = DeadLetters(session.dir / "quarantine" / f"{name}.jsonl")
        feed = Feed(session.dir, getattr(sink, "chunk_bytes", CHUNK_BYTES))
        worker = Worker(name, sink, feed, letters, rejected=rejected)
        self._threads[session.dir, name] = SinkThread(worker, settings_of(name, config))

    def _measure(self, threads: list[SinkThread]) -> None:
        found: dict[str, float] = {}
        for worker in (thread.worker for thread in threads):
            lag_s = worker.feed.lag_s(worker.cursors)
            if lag_s is not None:
                found[worker.name] = max(lag_s, found.get(worker.name, 0.0))
        with self._lock:
            self._lag_s = found
