"""What keeps a session although its time has come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchlab.errors import Fault
from benchlab.files import FileLock
from benchlab.session import CURRENT, Session
from retentiond.consumed import unconsumed_by_mux

CURRENT_ONE = "current"
WRITTEN = "being written"
PINNED = "pinned"
NOT_MUXED = "not muxed"
NOT_IN_SINKS = "not in every sink"
UNREADABLE = "unreadable"

MUX_LOCK = "mux.lock"

BySinks = Callable[[Session, bool], "list[str]"]
"""Returns what the sinks have not taken of a session of which only the raw data goes, or all; a line each."""


@dataclass(frozen=True)
class Kept:
    """Why something is kept: the reason it is counted under, and the whole story."""

    reason: str
    detail: str


def why_kept(session: Session, current: str | None, by_sinks: BySinks, *, stays: bool) -> Kept | None:
    """Return what protects a session, or only its raw data if the rest ``stays``; None if nothing does.

    Raises OSError if that cannot be told.
    """
    if session.name in (current, CURRENT):
        return Kept(CURRENT_ONE, "it is the current session")
    if session.problem:
        return Kept(UNREADABLE, f"whether it is pinned cannot be told: {session.problem}")
    if session.info.pinned:
        return Kept(PINNED, f"it is pinned: benchctl session unpin {session.name}")
    missing = unconsumed_by_mux(session, stays=stays)
    if missing:
        return Kept(NOT_MUXED, missing)
    behind = by_sinks(session, stays)
    return Kept(NOT_IN_SINKS, "; ".join(behind)) if behind else None


def being_written(session: Session) -> Kept | None:
    """Return who holds a lock of a session, None if nobody does. Raises OSError."""
    for path in _locks(session):
        pid = FileLock(path, "").holder
        if pid is not None:
            return _held(path, f"process {pid}")
    return None


@contextmanager
def held(session: Session) -> Iterator[Kept | None]:
    """Hold all locks of a session, so that nobody begins to write it; yield who holds one already. Raises OSError."""
    paths = _locks(session)
    if paths or (session.dir / "state").is_dir():
        paths = sorted({*paths, session.dir / "state" / MUX_LOCK})
    with ExitStack() as stack:
        yield next(filter(None, (_taken(path, stack) for path in paths)), None)


def _taken(path: Path, stack: ExitStack) -> Kept | None:
    """Take a lock until the stack is left, or return who has it."""
    lock = FileLock(path, "retentiond")
    try:
        lock.acquire(wait_s=0)
    except Fault as fault:
        return _held(path, fault.message)
    stack.callback(lock.release)
    return None


def _held(path: Path, by: str) -> Kept:
    return Kept(WRITTEN, f"its {path.name} is held: {by}")


def _locks(session: Session) -> list[Path]:
    """Return the lock files of a session. Raises OSError: a folder closed to us may hold one."""

    def tell(error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise error

    walk = os.walk(session.dir / "state", onerror=tell)
    return sorted(Path(folder, name) for folder, _, names in walk for name in names if name.endswith(".lock"))
