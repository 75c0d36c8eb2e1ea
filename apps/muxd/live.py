"""The daemon's loop: wake when bytes come, take them in, checkpoint, and end with the session."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from benchlab.daemon.notify import Notifier
from benchlab.errors import Exit, Fault
from benchlab.log.reader import RawChanged
from benchlab.log.watch import Watcher
from benchlab.session import Session
from muxd.mux import Mux
from muxd.opening import Opener, is_closed

log = logging.getLogger("muxd")

# A wake that takes all that has come costs less than one per event; this is the least time between two.
ROUND_S = 0.004
IDLE_S = 0.1
LOOK_AT_SESSION_S = 0.5
SAY_STAGES_AFTER_S = 5.0
STALLED_S = 10.0

OnRound = Callable[[Mux], None]


class Loop:
    """Runs one session's muxing until it is closed or ``stop`` is set."""

    def __init__(
        self, session: Session, opener: Opener, stop: threading.Event, on_round: OnRound, notifier: Notifier
    ) -> None:
        self._session = session
        self._opener = opener
        self._stop = stop
        self._on_round = on_round
        self._notifier = notifier
        self._round_s = time.monotonic()
        self._looked_s = 0.0
        self._began_s = time.monotonic()
        self._said_stages = False
        self._told_error: str | None = None

    def healthy(self) -> bool:
        """Tell whether a round has ended lately."""
        return time.monotonic() - self._round_s < STALLED_S

    def run(self) -> int:
        """Mux until the end. Raises Fault when it cannot go on."""
        mux = self._opener.open()
        self._notifier.send("READY=1")
        watcher = Watcher(self._session.raw)
        try:
            while not self._stop.is_set() and not mux.final:
                mux = self._round(mux)
                if not self._stop.is_set() and not mux.final and not watcher.wait(IDLE_S):
                    continue
                self._stop.wait(max(0.0, ROUND_S - (time.monotonic() - self._round_s)))
            if not mux.final:
                mux.checkpoint(now=True)
        except OSError as error:
            raise Fault(f"{self._session.dir} cannot be written: {error.strerror or error}", Exit.IO) from error
        finally:
            self._notifier.send("STOPPING=1")
            watcher.close()
            mux.close()
        return Exit.OK

    def _round(self, mux: Mux) -> Mux:
        closed = self._is_closed()
        try:
            progressed = mux.step()
        except RawChanged as change:
            log.warning("%s: aligned/ is rebuilt from raw/", change.message)
            mux.close()
            return self._opener.rebuild(change.message)
        if closed and not progressed:
            mux.finish()
            log.info("session %s is closed: everything in it is decided", self._session.name)
        elif not progressed:
            mux.settle()
        mux.checkpoint()
        self._round_s = time.monotonic()
        self._on_round(mux)
        self._tell(mux)
        self._notifier.send("WATCHDOG=1")
        return mux

    def _is_closed(self) -> bool:
        if self._round_s - self._looked_s >= LOOK_AT_SESSION_S:
            self._looked_s = self._round_s
            self._session.reload()
        return is_closed(self._session)

    def _tell(self, mux: Mux) -> None:
        if mux.checkpoint_error != self._told_error:
            self._told_error = mux.checkpoint_error
            if self._told_error:
                log.error("checkpoint failed (%s): trying again each second, nothing is lost", self._told_error)
            else:
                log.info("checkpoint written again")
        if not self._said_stages and self._round_s - self._began_s > SAY_STAGES_AFTER_S:
            self._said_stages = True
            missing = unseen_stages(mux)
            if missing:
                log.warning("%s", missing)


def unseen_stages(mux: Mux) -> str | None:
    """Return what to tell somebody whose pair names a stage that nobody sends; None if all were seen."""
    expected = {stage for pair in mux.settings.pairs for stage in pair}
    seen = mux.engine.merger.stages_seen
    never = sorted(expected - seen)
    if not never:
        return None
    told = ", ".join(sorted(seen)) or "none"
    return f"no pair can come: stages never seen: {', '.join(never)}; stages seen: {told}"
