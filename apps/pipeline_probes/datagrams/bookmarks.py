"""Bookmarks that came over the stage socket, on their way into the session's stream of bookmarks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from benchlab.bookmarks import write_bookmarks
from benchlab.clock import SessionClock
from benchlab.daemon import Reading
from benchlab.errors import Fault
from benchlab.event import BOOKMARK, Event
from benchlab.session import Session

log = logging.getLogger(__name__)

TRIES = 10
PAUSE_S = 0.2


class Bookmarks:
    """Writes bookmarks in a thread of its own, for their stream has other writers and is synced each time.

    ``session`` returns the session that is current now, ``clock`` is the timeline of the bookmarks given.
    ``failed`` counts those that could not be written, and ``failure`` says why.
    """

    def __init__(self, session: Callable[[], Session], clock: SessionClock) -> None:
        self.failed = 0
        self.failure = ""
        self._session = session
        self._clock = clock
        self._queue: SimpleQueue[Sequence[Reading] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, bookmarks: Sequence[Reading]) -> None:
        """Have bookmarks written soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=BOOKMARK, daemon=True)
            self._thread.start()
        self._queue.put(bookmarks)

    def close(self, timeout_s: float) -> None:
        """Wait until all are written."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (bookmarks := self._queue.get()) is not None:
            self._write(bookmarks)

    def _write(self, bookmarks: Sequence[Reading]) -> None:
        for _ in range(TRIES):
            try:
                session = self._session()
                shift_ns = session.clock().anchor_ns - self._clock.anchor_ns
                write_bookmarks(session, [_event(bookmark, shift_ns) for bookmark in bookmarks])
                return
            except Fault as fault:
                self.failure = fault.message
                time.sleep(PAUSE_S)
        log.warning("%d bookmarks were not written: %s", len(bookmarks), self.failure)
        self.failed += len(bookmarks)


def _event(bookmark: Reading, shift_ns: int) -> Event:
    assert bookmark.ts_ns is not None
    return Event(bookmark.ts_ns + shift_ns, BOOKMARK, bookmark.kv, unc_ns=bookmark.unc_ns)
