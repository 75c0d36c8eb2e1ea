"""Threads that sample, write and wait. What happens to one source happens to no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from time import monotonic_ns
from typing import Any, Protocol

from benchlab.daemon.schedule import NS, Backoff, Schedule
from benchlab.daemon.source import (
    Absent,
    Ended,
    Source,
    Transient,
    describe,
    failure,
    identity_of,
    shut,
    take,
    told,
    waits,
)
from benchlab.event import Event, Value

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
    """Samples one source whenever it is due.

    A failure is one ``source_down`` line, however often it repeats; then attempts come with growing waits,
    and the first success is ``source_up``. So is the first success of a source that no ``start`` line lists
    (``listed`` is false), and of one that turns out to be another device than was said; these say what it is.
    ``ticks`` counts good samples, ``errors`` failed ones. ``has_ended`` is true once the source is done for good.
    """

    def __init__(
        self,
        source: Source,
        sink: Log,
        clock: Clock,
        schedule: Schedule,
        backoff: Backoff,
        listed: bool = True,
    ) -> None:
        self.source = source
        self.ticks = 0
        self.errors = 0
        self.has_ended = False
        self._sink = sink
        self._clock = clock
        self._schedule = schedule
        self._backoff = backoff
        self._lock = threading.Lock()
        self._busy_since_ns: int | None = None
        self._is_quarantined = False
        self._is_abandoned = False
        self._down: Mapping[str, Value] | None = None
        self._said: dict[str, Any] | None = identity_of(source) if listed else None

    @property
    def due_ns(self) -> int:
        """When the next sample is due, on CLOCK_MONOTONIC."""
        return self._schedule.due_ns

    @property
    def late_ticks(self) -> int:
        """Samples that were skipped because their time had passed."""
        return self._schedule.skipped

    def tick(self) -> None:
        """Take a sample and write it."""
        self._busy_since_ns = monotonic_ns()
        try:
            events = take(self.source, self._clock.now_ns)
            was_stuck = self._leave_quarantine()
            if self._is_abandoned or (was_stuck and not waits(self.source)):
                self._retry_later()  # what it says at last was true too long ago to be worth a line
                return
            identity = identity_of(self.source)
            if self._down is not None or identity != self._said:
                self._report_up(identity)
            self._sink.write(events)
        except Ended as end:
            self.has_ended = True
            self._leave_quarantine()
            self._report_down(failure(end, self.source.name))
            return
        except Exception as error:  # a source may fail in any way; the loop outlives it
            self._failed(error)
            return
        self.ticks += 1
        self._backoff.reset()
        self._schedule.advance(monotonic_ns())

    def finish(self) -> None:
        """Write what a source that can be shut still has: it has happened before the end."""
        if shut(self.source):
            self.tick()

    def check(self, now_ns: int, deadline_ns: int) -> None:
        """Declare the source down if its sample has run for longer than the deadline."""
        with self._lock:
            busy_since_ns = self._busy_since_ns
            if self._is_quarantined or busy_since_ns is None or now_ns - busy_since_ns < deadline_ns:
                return
            self._is_quarantined = True
            self.errors += 1
        reason = f"no answer for {deadline_ns / NS:g} s: quarantined until it returns"
        self._report_down({"which": self.source.name, "reason": reason})

    def abandon(self) -> None:
        """Write nothing more: the log closes, and a sample is still under way."""
        with self._lock:
            self._is_abandoned = True

    def _leave_quarantine(self) -> bool:
        """End the time under watch; return whether it had been exceeded."""
        with self._lock:
            was, self._is_quarantined, self._busy_since_ns = self._is_quarantined, False, None
            return was

    def _failed(self, error: Exception) -> None:
        self._leave_quarantine()
        self.errors += not isinstance(error, Absent)
        fields = failure(error, self.source.name)
        if self._down != fields and not isinstance(error, Absent | Transient):
            log.error("%s failed: a defect in its reader", self.source.name, exc_info=error)
        self._report_down(fields)
        self._retry_later()

    def _retry_later(self) -> None:
        self._schedule.postpone(monotonic_ns() + self._backoff.next_ns())

    def _report_down(self, fields: Mapping[str, Value]) -> None:
        """Write a ``source_down`` line, unless the same was said last."""
        if self._down == fields or self._is_abandoned:
            return
        self._down = fields
        fix = f" ({fields['fix']})" if "fix" in fields else ""
        level = logging.INFO if self.has_ended else logging.WARNING
        log.log(level, "%s is down: %s%s", self._title(), fields["reason"], fix)
        self._tell("source_down", fields)

    def _report_up(self, identity: Mapping[str, Value]) -> None:
        fields: dict[str, Value] = {"which": self.source.name}
        if identity != self._said:
            fields["sources"] = [describe(self.source, self._schedule.period_ns / NS)]
            self._said = dict(identity)
        self._down = None
        of = ", ".join(f"{key} {value}" for key, value in identity.items())
        log.info("%s is up%s", self._title(), f": {of}" if of else "")
        self._tell("source_up", fields)

    def _title(self) -> str:
        dev: str | None = getattr(self.source, "dev", None)
        return f"{self.source.name} ({dev})" if dev else self.source.name

    def _tell(self, event: str, fields: Mapping[str, Value]) -> None:
        self._sink.write([told(self.source, self._clock.now_ns(), event, fields)])


class Lane:
    """A thread, and the sources that it samples: one, or several that are known never to block."""

    def __init__(self, name: str, workers: Sequence[Worker], stop: threading.Event) -> None:
        self.name = name
        self.workers = workers
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; return whether it did."""
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._wait():
            now_ns = monotonic_ns()
            for worker in self._going():
                if worker.due_ns <= now_ns and not self._stop.is_set():
                    worker.tick()
        for worker in self._going():
            worker.finish()

    def _going(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.has_ended]

    def _wait(self) -> bool:
        """Wait for the next deadline; return True when it is time to stop instead, or nothing is left to sample."""
        going = self._going()
        if not going:
            return True
        wait_ns = min(worker.due_ns for worker in going) - monotonic_ns()
        return self._stop.wait(wait_ns / NS) if wait_ns > 0 else self._stop.is_set()
