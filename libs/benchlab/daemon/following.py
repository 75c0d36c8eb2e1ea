"""One stream of the session that is being recorded, which moves on when ``current`` does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic_ns
from typing import Any

from benchlab.errors import Fault
from benchlab.event import Event
from benchlab.log.writer import LogWriter, WriterStats
from benchlab.session import DAILY, Session, is_day_over, rotations

log = logging.getLogger(__name__)

GRACE_NS = 1_000_000_000
"""How long after the cut events from before it are still awaited."""
SYNC_CHECK_NS = 10_000_000_000


@dataclass
class _Part:
    """The stream in one session. ``shift_ns`` leads from the log's clock to the session's timeline."""

    session: Session
    writer: LogWriter
    shift_ns: int
    started: bool = False
    in_time: bool = False  # known before it began, so that nothing from after the cut lies in the session before


class FollowingLog:
    """Log and clock of a collector, through rotations: every event is in exactly one session.

    ``follow`` returns the session that is current now; without it the one session is stayed with. It is asked when
    ``current`` has moved, and with ``rotate="daily"`` when the day is over: it then makes the next one. The clock
    never moves: where the next session has another timeline, events are shifted to it on their way.
    Raises Fault (IO) when the stream has a writer already.
    """

    def __init__(
        self,
        session: Session,
        stream: str,
        *,
        fsync_s: float = 1.0,
        follow: Callable[[], Session] | None = None,
        rotate: str = "never",
    ) -> None:
        self.stream = stream
        self.clock = session.clock()
        self._fsync_s = fsync_s
        self._follow = follow
        self._rotate = rotate
        self._fields: Mapping[str, Any] = {}
        self._mutex = Lock()
        self._part = self._open(session)
        self._next: _Part | None = None
        self._sync_check_ns = 0
        self._problem = ""

    @property
    def session(self) -> Session:
        """The session that is being recorded."""
        return self._part.session

    @property
    def stats(self) -> WriterStats:
        """What was written into the session that is being recorded."""
        return self._part.writer.stats

    @property
    def last_event_ns(self) -> int | None:
        """The time of the event that was written last, on the log's clock."""
        last_ns = self._part.writer.last_event_ns
        return None if last_ns is None else last_ns - self._part.shift_ns

    def start(self, fields: Mapping[str, Any]) -> None:
        """Write the ``start`` line, here and in every session to come."""
        with self._mutex:
            self._fields = fields
            self._start(self._part)

    def write(self, events: Sequence[Event]) -> None:
        """Write events, each into the session that its time belongs to."""
        with self._mutex:
            if self._next is None:
                _put(self._part, events)
                return
            cut_ns = _cut_ns(self._next)
            _put(self._part, [event for event in events if event.ts_ns < cut_ns])
            if after := [event for event in events if event.ts_ns >= cut_ns]:
                self._start(self._next)
                _put(self._next, after)

    def tick(self) -> None:
        """Do what is due, moving on to the next session included. Raises Fault if the session was closed.

        Only what must not be seen half done is done under the lock: a slow disk delays no source.
        """
        if self._next is None and (found := self._moved()):
            self._prepare(found)
        if self._next is None or self.clock.now_ns() < _cut_ns(self._next):
            self._part.writer.tick()
            self._note_sync()
            return
        with self._mutex:
            self._start(self._next)
        self._next.writer.tick()
        if self.clock.now_ns() >= _cut_ns(self._next) + GRACE_NS:
            with self._mutex:
                last, self._part, self._next = self._part, self._next, None
            last.writer.stop(_cut_ns(self._part) + last.shift_ns if self._part.in_time else None)

    def stop(self) -> None:
        """Write the ``stop`` line and let go of the file."""
        with self._mutex:
            self._part.writer.stop()
            if self._next is not None:
                self._next.writer.stop()

    def _open(self, session: Session) -> _Part:
        timeline = session.clock()
        path = session.raw / f"{self.stream}.jsonl"
        lock_path = session.state / f"{self.stream}.lock"
        writer = LogWriter(path, lock_path, clock=timeline.now_ns, fsync_s=self._fsync_s)
        return _Part(session, writer, timeline.anchor_ns - self.clock.anchor_ns)

    def _start(self, part: _Part) -> None:
        if not part.started:
            part.writer.start({**self._fields, "session": part.session.name})
            part.started = True

    def _moved(self) -> Session | None:
        """Return the session to go on in, None while this one is current. Raises Fault."""
        here = self.session
        here.reload()
        if self._follow is None:
            if here.info.closed:
                raise Fault(f"session {here.name} was closed: nothing more is recorded into it")
            return None
        if not here.info.closed and _current_name(here) in (here.name, None) and not self._is_day_over():
            return None
        try:
            found = self._follow()
        except Fault as fault:
            self._stay(fault)
            return None
        if found.name == here.name:
            return None
        return next((session for session in rotations(here, found) if not session.info.closed), found)

    def _is_day_over(self) -> bool:
        now_ns = self.clock.now_ns() + self._part.shift_ns
        return self._rotate == DAILY and is_day_over(self.session.info, now_ns)

    def _prepare(self, session: Session) -> None:
        try:
            part = self._open(session)
        except Fault as fault:
            self._stay(fault)
            return
        log.info("going on in session %s", session.name)
        self._problem = ""
        part.in_time = self.clock.now_ns() < _cut_ns(part)
        with self._mutex:
            self._next = part

    def _stay(self, fault: Fault) -> None:
        if self._problem != fault.message:
            log.warning("staying in session %s: %s", self.session.name, fault.message)
        self._problem = fault.message

    def _note_sync(self) -> None:
        """Record how far off the timeline is once a clock that was not synchronised is."""
        if monotonic_ns() < self._sync_check_ns:
            return
        self._sync_check_ns = monotonic_ns() + SYNC_CHECK_NS
        try:
            self.session.note_synchronised(self.clock)
        except Fault as fault:
            log.debug("%s", fault.message)


def _current_name(session: Session) -> str | None:
    """Return where the link beside a session points; None if there is none."""
    try:
        return str(session.dir.with_name("current").readlink())
    except OSError:
        return None


def _cut_ns(part: _Part) -> int:
    """Return when a session begins, on the log's clock."""
    return (part.session.info.starts_ns or 0) - part.shift_ns


def _put(part: _Part, events: Sequence[Event]) -> None:
    if part.shift_ns:
        for event in events:
            event.ts_ns += part.shift_ns
    if events:
        part.writer.write(events)
