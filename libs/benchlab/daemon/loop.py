"""The daemon: a thread per lane of sources, and a main thread that watches over them, the log and the clock."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic_ns
from types import FrameType
from typing import Any

from benchlab.daemon.notify import Notifier
from benchlab.daemon.schedule import NS, AtOnce, Backoff, Schedule
from benchlab.daemon.source import Source, arrivals_of, describe, lane_of, period_of, status_of, waits
from benchlab.daemon.worker import Clock, Lane, Log, Worker
from benchlab.errors import Exit
from benchlab.event import Event, Value, meta

log = logging.getLogger(__name__)

WATCH_S = 0.25
HELD_UP_NS = NS
SELF_METRICS_S = 10.0
STOP_S = 1.0
BACKOFF_S = (0.5, 5.0)
SELF = "self."
"""What a source is called that tells of the collector itself: it is none of those that are measured."""


class Daemon:
    """Runs a collector's sources until SIGTERM, SIGINT or ``stop``, or until every one of them has ended.

    A source that blocks for longer than ``deadline_s`` is quarantined and delays nobody; one that is absent
    or fails is tried again after ``backoff_s`` (first wait, longest wait). Sources that a source finds
    (``arrivals``) are taken in while it runs. ``start_fields`` go into the ``start`` line beside the table of
    sources. Every ``report_s`` the daemon tells how it fares itself. If ``goes_on()`` at the end of the run, the
    program will run anew at once, as with another configuration, and the service manager hears nothing of an end.
    """

    def __init__(
        self,
        name: str,
        sources: Sequence[Source],
        writer: Log,
        clock: Clock,
        period_s: float,
        *,
        start_fields: Mapping[str, Value] | None = None,
        deadline_s: float = 2.0,
        backoff_s: tuple[float, float] = BACKOFF_S,
        report_s: float = SELF_METRICS_S,
        stop: threading.Event | None = None,
        goes_on: Callable[[], bool] = lambda: False,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self._name = name
        self._sources = sources
        self._writer = writer
        self._clock = clock
        self._period_s = period_s
        self._start_fields = dict(start_fields or {})
        self._deadline_ns = round(deadline_s * NS)
        self._report_ns = round(report_s * NS)
        self._stop = stop or threading.Event()
        self._goes_on = goes_on
        self._notifier = Notifier(env)
        self._signalled = False
        self._status = ""
        self._backoff_s = backoff_s
        self._lanes = self._make_lanes(sources)

    def run(self) -> int:
        """Run to the end and return the exit code: 0, because being stopped, or done, is how a daemon ends well."""
        with self._signals():
            try:
                self._start()
                self._watch()
            finally:
                self._finish()
        return Exit.OK

    @property
    def _workers(self) -> list[Worker]:
        return [worker for lane in self._lanes for worker in lane.workers]

    def _make_lanes(self, sources: Sequence[Source], listed: bool = True) -> list[Lane]:
        start_ns = monotonic_ns()
        lanes: dict[str, list[Worker]] = {}
        for number, source in enumerate(sources):
            schedule = AtOnce(start_ns) if waits(source) else Schedule(period_of(source, self._period_s), start_ns)
            worker = Worker(source, self._writer, self._clock, schedule, Backoff(*self._backoff_s), listed)
            lanes.setdefault(lane_of(source) or f"{source.name} {number}", []).append(worker)
        return [Lane(name, workers, self._stop) for name, workers in lanes.items()]

    def _take_in_arrivals(self) -> None:
        """Start sampling what the sources have found; each is told of in the log with its first reading."""
        for worker in self._workers:
            lanes = self._make_lanes(arrivals_of(worker.source), listed=False)
            self._lanes += lanes
            for lane in lanes:
                lane.start()

    def _start(self) -> None:
        listed = [source for source in self._sources if not source.name.startswith(SELF)]
        table = [describe(source, self._period_s) for source in listed]
        period_ms = round(self._period_s * 1e3, 3)
        self._writer.start({**self._start_fields, "period_ms": period_ms, "sources": table})
        for lane in self._lanes:
            lane.start()
        self._notifier.send("READY=1")
        names = ", ".join(source.name for source in listed)
        log.info("%s samples %s every %g ms", self._name, names, period_ms)

    def _watch(self) -> None:
        report_ns = monotonic_ns() + self._report_ns
        pet_ns = 0
        while self._pause() and not self._has_ended():
            now_ns = monotonic_ns()
            for worker in self._workers:
                worker.check(now_ns, self._deadline_ns)
            self._take_in_arrivals()
            self._check_clock()
            self._writer.tick()
            self._tell_status()
            if self._notifier.watchdog_s is not None and now_ns >= pet_ns:
                self._notifier.send("WATCHDOG=1")
                pet_ns = now_ns + round(self._notifier.watchdog_s * NS) - round(WATCH_S * NS)
            if now_ns >= report_ns:
                self._writer.write([self._self_metrics()])
                report_ns = now_ns + self._report_ns

    def _tell_status(self) -> None:
        status = status_of(worker.source for worker in self._workers)
        if status != self._status:
            self._status = status
            self._notifier.send(f"STATUS={status}")

    def _pause(self) -> bool:
        """Wait until it is time to look again; return whether to go on.

        Where the whole process was held up (stopped, starved of its processor), the sources go first: what they
        have is older than the ``alive`` line that is due, and none of them was stuck.
        """
        began_ns = monotonic_ns()
        ended = self._stop.wait(WATCH_S)
        if not ended and monotonic_ns() - began_ns > HELD_UP_NS:
            ended = self._stop.wait(WATCH_S)
        return not ended and not self._signalled

    def _has_ended(self) -> bool:
        return bool(self._sources) and all(worker.has_ended for worker in self._workers)

    def _check_clock(self) -> None:
        if (step_ns := self._clock.step_ns()) is not None:
            log.warning("the wall clock was moved by %+.3f s; the timeline goes on", step_ns / NS)
            self._writer.write([meta(self._clock.now_ns(), "clock_step", {"step_ns": step_ns})])

    def _finish(self) -> None:
        if self._signalled or not self._goes_on():
            self._notifier.send("STOPPING=1")
        self._stop.set()
        give_up_ns = monotonic_ns() + round(STOP_S * NS)
        for lane in self._lanes:
            if not lane.join((give_up_ns - monotonic_ns()) / NS):
                log.warning("%s did not return in time and is left behind", lane.name)
                for worker in lane.workers:
                    worker.abandon()
        self._writer.stop()
        self._notifier.close()

    def _self_metrics(self) -> Event:
        usage = os.times()
        kv: dict[str, Any] = {
            "ticks": sum(worker.ticks for worker in self._workers),
            "late_ticks": sum(worker.late_ticks for worker in self._workers),
            "errors": sum(worker.errors for worker in self._workers),
            "cpu_s": round(usage.user + usage.system, 2),
        }
        if (rss := resident_bytes()) is not None:
            kv["rss"] = rss
        stats = getattr(self._writer, "stats", None)
        for key in ("lines", "bytes", "lost"):
            if (value := getattr(stats, key, None)) is not None:
                kv[key] = value
        return Event(ts_ns=self._amid_ns(), source=f"self.{self._name}", kv=kv)

    def _amid_ns(self) -> int:
        """Return a time for a line that must not make late what is on its way: that of the last one, if it is new."""
        now_ns = self._clock.now_ns()
        last_ns: int | None = getattr(self._writer, "last_event_ns", None)
        return last_ns if last_ns is not None and 0 < now_ns - last_ns < NS else now_ns

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as a request to stop, where this is the thread that gets them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._asked) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        # A flag and nothing more: Event.set() here could deadlock with the Event.wait() it interrupts.
        self._signalled = True


def resident_bytes() -> int | None:
    """Return the memory this process holds, or None where /proc does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
