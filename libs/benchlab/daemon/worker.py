"""One source's own thread: sample, write, wait. What happens to it happens to no other source."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from time import monotonic_ns
from typing import Protocol

from benchlab.daemon.schedule import Backoff, Schedule
from benchlab.daemon.source import Absent, Source, Transient, failure, period_of, take
from benchlab.event import Event, Value, meta

log = logging.getLogger(__name__)


class Clock(Protocol):
    """The session's timeline."""

    def now_ns(self) -> int:
        """Return the time now, in nanoseconds of the timeline."""
        ...

    def step_ns(self) -> int | None:
        """Return by how much the wall clock was moved against the timeline since last asked, if it was."""
        ...


class Log(Protocol):
    """Where events go: a LogWriter, or what stands for one."""

    def start(self, fields: Mapping[str, Value]) -> None:
        """Write the ``start`` line."""
        ...

    def write(self, events: Sequence[Event]) -> None:
        """Write a batch; never raises, never blocks for long."""
        ...

    def tick(self) -> None:
        """Do what is due: fsync, the ``alive`` line, retries."""
        ...

    def stop(self) -> None:
        """Write the ``stop`` line and let go of the file."""
        ...


class Worker:
    """Samples one source until told to stop.

    A failure is one ``source_down`` line, however often it repeats; then attempts come with growing waits,
    and the first success is ``source_up``. ``ticks`` counts good samples, ``errors`` failed ones.
    """

    def __init__(
        self,
        source: Source,
        sink: Log,
        clock: Clock,
        default_period_s: float,
        stop: threading.Event,
        *,
        start_ns: int,
        backoff: Backoff,
    ) -> None:
        self.source = source
        self.ticks = 0
        self.errors = 0
        self._sink = sink
        self._clock = clock
        self._stop = stop
        self._schedule = Schedule(period_of(source, default_period_s), start_ns)
        self._backoff = backoff
        self._busy_since_ns: int | None = None
        self._down: Mapping[str, Value] | None = None
        self._lock = threading.Lock()
        self._quarantined = False
        self._thread = threading.Thread(target=self._run, name=source.name, daemon=True)

    @property
    def late_ticks(self) -> int:
        """Samples that were skipped because their time had passed."""
        return self._schedule.skipped

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; return whether it did."""
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def check(self, now_ns: int, deadline_ns: int) -> None:
        """Declare the source down if its sample has run for longer than the deadline."""
        with self._lock:
            busy_since_ns = self._busy_since_ns
            if self._quarantined or busy_since_ns is None or now_ns - busy_since_ns < deadline_ns:
                return
            self._quarantined = True
            self.errors += 1
        reason = f"no answer for {deadline_ns / 1e9:g} s: quarantined until it returns"
        self._report_down({"which": self.source.name, "reason": reason})

    def _run(self) -> None:
        while not self._wait_until_due():
            self._tick()

    def _wait_until_due(self) -> bool:
        """Wait for the next deadline; return True when it is time to stop instead."""
        wait_ns = self._schedule.due_ns - monotonic_ns()
        return self._stop.wait(wait_ns / 1e9) if wait_ns > 0 else self._stop.is_set()

    def _tick(self) -> None:
        self._busy_since_ns = monotonic_ns()
        try:
            events = take(self.source, self._clock.now_ns)
        except Exception as error:  # a source may fail in any way; the loop outlives it
            self._failed(error)
            return
        if self._leave_quarantine():
            self._retry_later()  # what it says now was true before the deadline passed: not worth a line
            return
        self.ticks += 1
        if self._down is not None:
            self._report_up()
        self._backoff.reset()
        self._sink.write(events)
        self._schedule.advance(monotonic_ns())

    def _leave_quarantine(self) -> bool:
        """End the time under watch; return whether the deadline had passed."""
        with self._lock:
            was, self._quarantined, self._busy_since_ns = self._quarantined, False, None
            return was

    def _failed(self, error: Exception) -> None:
        if not self._leave_quarantine():
            self.errors += 0 if isinstance(error, Absent) else 1
        fields = failure(error, self.source.name)
        if self._down != fields:
            if not isinstance(error, Absent | Transient):
                log.error("%s failed: a defect in its reader", self.source.name, exc_info=error)
            self._report_down(fields)
        self._retry_later()

    def _retry_later(self) -> None:
        self._schedule.postpone(monotonic_ns() + self._backoff.next_ns())

    def _report_down(self, fields: Mapping[str, Value]) -> None:
        self._down = fields
        if not self._stop.is_set():
            log.warning("%s is down: %s", self.source.name, fields["reason"])
            self._sink.write([meta(self._clock.now_ns(), "source_down", fields)])

    def _report_up(self) -> None:
        self._down = None
        log.info("%s is up", self.source.name)
        self._sink.write([meta(self._clock.now_ns(), "source_up", {"which": self.source.name})])
