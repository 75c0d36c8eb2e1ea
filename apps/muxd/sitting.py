"""One session at muxd's table: its lock, its muxing, its end, and what is told about it."""

from __future__ import annotations

import logging
import time

from benchlab.errors import Exit, Fault
from benchlab.files import FileLock
from benchlab.log.reader import RawChanged
from benchlab.log.watch import Watcher
from benchlab.session import Session
from muxd.mux import Mux
from muxd.opening import Opener, is_closed
from muxd.sinks.runner import SinkRunner

log = logging.getLogger("muxd")

LOOK_AT_SESSION_S = 0.5
SAY_STAGES_AFTER_S = 5.0
# After a rotation writers go on for 2 s until the cut, and one more for what was under way.
ROTATED_S = 4.0


class Sitting:
    """Opens a session's muxing and does its rounds, the ``sinks`` told. Raises Fault (IO) if another muxd serves it."""

    def __init__(self, session: Session, opener: Opener, sinks: SinkRunner | None = None) -> None:
        self.session = session
        self._sinks = sinks
        self._opener = opener
        self._lock = lock_of(session)
        try:
            self.mux: Mux = opener.open()
            self.watcher = Watcher(session.raw)
        except BaseException:
            self._lock.release()
            raise
        if sinks is not None:
            sinks.add(session)
        self._began_s = time.monotonic()
        self._looked_s = 0.0
        self._rotated_s: float | None = None
        self._said_stages = False
        self._told_trouble = False

    def round(self, rotated: bool = False) -> None:
        """Take in what has come and see to what is due; ``rotated``: another session is current now.

        Raises Fault (IO) when the session's folder cannot be written.
        """
        if self.mux.final:
            return
        try:
            self._round(rotated)
        except OSError as error:
            raise Fault(f"{self.session.dir} cannot be written: {error.strerror or error}", Exit.IO) from error

    def leave(self) -> None:
        """Vouch for what is done, to go on from there another time."""
        try:
            if not self.mux.final:
                self.mux.checkpoint(now=True)
        except (Fault, OSError) as error:
            log.error("last checkpoint failed (%s): the next start goes on from the one before", error)

    def close(self) -> None:
        """Let go of the session; its sinks end when they have stored all of it."""
        if self._sinks is not None:
            self._sinks.finish(self.session)
        self.watcher.close()
        self.mux.close()
        self._lock.release()

    def _round(self, rotated: bool) -> None:
        closed = self._is_closed()
        try:
            progressed = self.mux.step(on_progress=self._opener.on_progress)
        except RawChanged as change:
            log.warning("%s: aligned/ is rebuilt from raw/", change.message)
            self.mux.close()
            self.mux = self._opener.rebuild(change.message)
            return
        if closed and not progressed:
            self._finish()
        elif not progressed:
            self.mux.settle()
            if rotated:
                self._close_when_drained()
        self.mux.checkpoint()
        self._tell()

    def _finish(self) -> None:
        """End with the session, or wait until the disk has room for its end."""
        try:
            self.mux.finish()
        except (Fault, OSError) as error:
            log.debug("not yet at the end: %s", error)
            return
        log.info("session %s is closed: everything in it is decided", self.session.name)

    def _is_closed(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_AT_SESSION_S:
            self._looked_s = now_s
            self.session.reload()
        return is_closed(self.session)

    def _close_when_drained(self) -> None:
        """Close a session that was rotated away once none of its streams has anything left to say."""
        now_s = time.monotonic()
        self._rotated_s = self._rotated_s or now_s
        if now_s - self._rotated_s >= ROTATED_S and not self.mux.waits():
            log.info("session %s has ended: closing it", self.session.name)
            self.session.close(self.mux.newest_ns())

    def _tell(self) -> None:
        if bool(self.mux.trouble) != self._told_trouble:
            self._told_trouble = bool(self.mux.trouble)
            if self._told_trouble:
                log.error("%s: trying on, nothing is lost", self.mux.trouble)
            else:
                log.info("session %s is written again", self.session.name)
        if not self._said_stages and time.monotonic() - self._began_s > SAY_STAGES_AFTER_S:
            self._said_stages = True
            for line in unpaired_yet(self.mux):
                log.warning("%s", line)


def lock_of(session: Session) -> FileLock:
    """Return the lock that makes this the session's only muxd. Raises Fault (IO)."""
    lock = FileLock(session.state / "mux.lock", "muxd")
    try:
        lock.acquire()
    except Fault as fault:
        if lock.holder is None:
            raise
        advice = "one muxd serves a session: add your --pair to its command line"
        raise Fault(f"{fault.message}; {advice}", fault.code) from fault
    return lock


def unpaired_yet(mux: Mux) -> list[str]:
    """Return a line for each pair that nothing was paired for so far: which stages were seen, and which never."""
    seen = mux.engine.merger.stages_seen
    told = ", ".join(sorted(seen)) or "none"
    lines = []
    for pair, count in mux.engine.pairs_completed().items():
        if count:
            continue
        never = [stage for stage in pair if stage not in seen]
        why = f"never seen: {', '.join(never)}" if never else "both were seen, but no frame or pts of theirs agrees"
        lines.append(f"no pair {pair[0]} to {pair[1]} yet: {why}; stages seen: {told}")
    return lines
