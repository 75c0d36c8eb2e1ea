"""The daemon's loop: wake when bytes come, take them in, checkpoint, follow rotations, end with the session."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from benchlab.daemon.notify import Notifier
from benchlab.errors import Exit, Fault
from benchlab.session import Session, rotations
from muxd.mux import Mux
from muxd.opening import is_finished
from muxd.sitting import Sitting

log = logging.getLogger("muxd")

# A wake that takes all that has come costs less than one per event; this is the least time between two.
ROUND_S = 0.008
IDLE_S = 0.1
SEE_TO_IT_S = 0.1
LOOK_AT_CURRENT_S = 0.5
STALLED_S = 10.0

Sit = Callable[[Session], Sitting]
Follow = Callable[[], Session]
OnRound = Callable[[Mux], None]


class Loop:
    """Muxes a session until it is closed or ``stop`` is set; with ``follow`` goes on in the one that is current.

    After a rotation the old session is drained beside the new one, closed when its streams have ended, and left.
    """

    def __init__(
        self,
        first: Session,
        sit: Sit,
        stop: threading.Event,
        on_round: OnRound,
        notifier: Notifier,
        follow: Follow | None = None,
    ) -> None:
        self._first = first
        self._sit = sit
        self._stop = stop
        self._on_round = on_round
        self._notifier = notifier
        self._follow = follow
        self._sittings: list[Sitting] = []
        self._newest = first
        self._round_s = time.monotonic()
        self._saw_s = 0.0
        self._looked_s = 0.0
        self._problem = ""

    def healthy(self) -> bool:
        """Tell whether a round has ended lately."""
        return time.monotonic() - self._round_s < STALLED_S

    def run(self) -> int:
        """Mux until the end. Raises Fault when it cannot go on."""
        try:
            self._sittings.append(self._sit(self._first))
            self._notifier.send("READY=1")
            while (self._sittings or self._follow) and not self._stop.is_set():
                self._round()
            for sitting in self._sittings:
                sitting.leave()
        finally:
            self._notifier.send("STOPPING=1")
            for sitting in self._sittings:
                sitting.close()
        return Exit.OK

    def _round(self) -> None:
        for sitting in self._sittings:
            sitting.round(rotated=sitting.session.name != self._newest.name)
        self._round_s = time.monotonic()
        if self._round_s - self._saw_s >= SEE_TO_IT_S:
            self._saw_s = self._round_s
            if self._sittings:
                self._on_round(self._sittings[-1].mux)
            self._notifier.send("WATCHDOG=1")
        if self._follow is not None and self._round_s - self._looked_s >= LOOK_AT_CURRENT_S:
            self._looked_s = self._round_s
            self._look_at_current(self._follow)
        for sitting in [one for one in self._sittings if one.mux.final]:
            if self._follow is not None and sitting.session.name == self._newest.name:
                continue  # closed, and no session after it yet: its lock shows that somebody follows
            sitting.close()
            self._sittings.remove(sitting)
        self._wait()

    def _wait(self) -> None:
        if not self._sittings:
            self._stop.wait(IDLE_S)
        elif self._sittings[-1].watcher.wait(IDLE_S):
            self._stop.wait(max(0.0, ROUND_S - (time.monotonic() - self._round_s)))

    def _look_at_current(self, follow: Follow) -> None:
        """Take up the session that has become current, and those between it and the last one."""
        try:
            found = follow()
            if found.name == self._newest.name:
                return
            *between, last = rotations(self._newest, found)
            for session in between:
                self._take_up_too(session)
            self._take_up(last)
            self._problem = ""
        except Fault as fault:
            if fault.message != self._problem:
                log.warning("staying in session %s: %s", self._newest.name, fault.message)
            self._problem = fault.message

    def _take_up(self, session: Session) -> None:
        if not is_finished(session):
            self._sittings.append(self._sit(session))
            log.info("going on in session %s", session.name)
        self._newest = session

    def _take_up_too(self, session: Session) -> None:
        """Take up a session that is current no more; who keeps it from us does not keep us from the current one."""
        try:
            self._take_up(session)
        except Fault as fault:
            log.warning("session %s is left out: %s", session.name, fault.message)
            self._newest = session
