"""A session's folder: its parts, its description, the clock to record into it with.

All changes of ``sessions/`` and of any ``session.json`` are made under one lock,
``<data_root>/sessions.lock``. Readers take no lock: whatever they can see was put there by a rename.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchlab.clock import SessionClock, boottime_ns, difference_ns, is_synchronised, wall_ns
from benchlab.errors import Exit, Fault
from benchlab.files import FileLock, make_dir, storage_fault
from benchlab.last_event import last_event_ns
from benchlab.session_file import (
    FILE_NAME,
    Anchor,
    SessionInfo,
    boot_id_or_none,
    born_ns,
    read_info,
    write_info,
)

HOST = Path("/")

_AFTER_LAST_NS = 1_000_000_000
_LOCK_WAIT_S = 10.0
_MERELY_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def using(data_root: Path) -> Iterator[None]:
    """Turn an OSError inside into the Fault (IO) that names the data root and what mends it."""
    try:
        yield
    except OSError as error:
        raise storage_fault(error, data_root) from error


def sessions_lock(data_root: Path) -> FileLock:
    """Return the lock under which sessions are made, changed and deleted."""
    return FileLock(data_root / "sessions.lock", "a change of sessions")


@contextmanager
def changing(data_root: Path) -> Iterator[None]:
    """Hold the lock of a data root's sessions, which is made if it is missing; faults as in ``using``."""
    lock = sessions_lock(data_root)
    with using(data_root):
        make_dir(data_root / "sessions")
        lock.acquire(_LOCK_WAIT_S)
        try:
            yield
        finally:
            lock.release()


def measured_anchor_ns() -> int:
    """Return what to add to CLOCK_BOOTTIME to get the wall clock as it is set now."""
    return difference_ns(wall_ns, boottime_ns)[0]


def is_other_boot(info: SessionInfo, here: str | None) -> bool:
    """Return whether a session's anchor belongs to another boot than ``here``; not known counts as no."""
    return None not in (info.boot_id, here) and info.boot_id != here


def timeline_ns(info: SessionInfo, root: Path = HOST) -> int:
    """Return the present on a session's timeline; where that is of another boot or unknown, the wall clock's."""
    if info.anchor_ns is None or is_other_boot(info, boot_id_or_none(root)):
        return wall_ns()
    return boottime_ns() + info.anchor_ns


class Session:
    """A recording's folder and what ``session.json`` says of it.

    A *bare* session is a folder with ``raw/`` and no ``session.json``: closed, its anchors unknown.
    ``problem`` says why ``session.json`` could not be read, where that was survived.
    """

    def __init__(
        self,
        folder: Path,
        info: SessionInfo,
        *,
        bare: bool = False,
        problem: str | None = None,
        root: Path = HOST,
    ) -> None:
        self.dir = folder
        self.name = folder.name
        self.info = info
        self.is_bare = bare
        self.problem = problem
        self._root = root
        self._seen: tuple[int, int, int] | None = None

    @property
    def raw(self) -> Path:
        """The streams as the collectors wrote them."""
        return self._folder("raw")

    @property
    def aligned(self) -> Path:
        """What muxd makes of them."""
        return self._folder("aligned")

    @property
    def cx_export(self) -> Path:
        """Files for CapFrameX."""
        return self._folder("cx-export")

    @property
    def store(self) -> Path:
        """Databases."""
        return self._folder("store")

    @property
    def quarantine(self) -> Path:
        """Lines that could not be used, and why."""
        return self._folder("quarantine")

    @property
    def state(self) -> Path:
        """Checkpoints, cursors and locks."""
        return self._folder("state")

    @property
    def born_ns(self) -> int:
        """When the session began, for its age: Unix nanoseconds of the wall clock."""
        return born_ns(self.dir, self.info)

    def clock(self) -> SessionClock:
        """Return the clock to record with.

        After a reboot (or on another machine) the session gets a new anchor: the wall clock, but never
        earlier than a second after the last event. Raises Fault (IO) if the session takes no more events.
        """
        self.reload()
        if self.info.closed:
            kind = "a bare folder of raw files" if self.is_bare else "closed"
            raise Fault(
                f"session {self.name} is {kind} and takes no more events: choose another with "
                "--session NAME, or start one with benchctl session new",
                Exit.IO,
            )
        here = boot_id_or_none(self._root)
        if self.info.anchor_ns is None or is_other_boot(self.info, here):
            self._change(lambda info: _anchored(info, here, self.raw))
        return SessionClock(self.info.anchor_ns or 0)

    def reload(self) -> None:
        """Read ``session.json`` again if it was replaced; what is known is kept if it cannot be read."""
        signature = self._signature()
        if self.is_bare or signature == self._seen:
            return
        try:
            self.info = read_info(self.dir)
        except FileNotFoundError:
            return
        except Fault as fault:
            self.problem = fault.message
            return
        self._seen, self.problem = signature, None

    def update(self, **changes: object) -> None:
        """Change fields of ``session.json``, keeping what others changed meanwhile. Raises Fault (IO)."""
        self._change(lambda info: msgspec.structs.replace(info, **changes))

    def close(self, ts_ns: int) -> None:
        """Say that nothing will be recorded after ``ts_ns``; closing twice keeps the first time."""
        self._change(lambda info: info if info.closed else msgspec.structs.replace(info, closed=True, closed_ns=ts_ns))

    def pin(self, pinned: bool = True) -> None:
        """Protect the session from retention, or stop to."""
        self.update(pinned=pinned)

    def note_synchronised(self, timeline: SessionClock, ask: Callable[[], bool | None] = is_synchronised) -> bool:
        """Record how far off the timeline is, once a clock unsynchronised at creation is synchronised.

        Returns whether it was recorded now. The timeline does not move.
        """
        info = self.info
        if info.clock_synchronised is not False or info.clock_offset_ns is not None or not ask():
            return False
        self.update(clock_offset_ns=timeline.wall_offset_ns()[0])
        return True

    def _folder(self, name: str) -> Path:
        path = self.dir / name
        try:
            make_dir(path)
        except OSError as error:
            if error.errno not in _MERELY_READ_ONLY:  # readers go on; a writer's own open tells it
                raise storage_fault(error, self.dir) from error
        return path

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            status = (self.dir / FILE_NAME).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _change(self, change: Callable[[SessionInfo], SessionInfo]) -> None:
        if self.is_bare:
            raise Fault(f"session {self.name} is a bare folder of raw files: it has no {FILE_NAME} to change")
        with changing(self.dir.parent.parent):
            self.info = change(read_info(self.dir))
            write_info(self.dir, self.info)
            self._seen = self._signature()


def _anchored(info: SessionInfo, here: str | None, raw: Path) -> SessionInfo:
    """Return the description with an anchor for the boot ``here``, the earlier one kept."""
    if info.anchor_ns is not None and not is_other_boot(info, here):
        return info  # another process was faster
    boottime = boottime_ns()
    earliest_ns = max(last_event_ns(raw), info.starts_ns or 0) + _AFTER_LAST_NS
    anchor_ns = max(measured_anchor_ns(), earliest_ns - boottime)
    anchors = list(info.anchors)
    if info.anchor_ns is not None:
        anchors.append(Anchor(info.boot_id, info.anchor_ns, boottime + anchor_ns))
    return msgspec.structs.replace(info, boot_id=here, anchor_ns=anchor_ns, anchors=anchors)
