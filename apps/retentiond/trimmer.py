"""One run over all sessions: what is old goes, and where the disk is full, what is younger."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchlab.clock import wall_ns
from benchlab.errors import Fault
from benchlab.files import FileLock
from benchlab.session import Session, list_sessions, sessions_root
from benchlab.session_find import current_folder
from benchlab.session_folder import sessions_lock
from retentiond import trash
from retentiond.protection import BySinks, Kept, being_written, held, why_kept
from retentiond.report import YOUNG, Freed, Report

DAY_NS = 86_400_000_000_000

_CANNOT = "cannot be deleted: "

SetAside = Callable[[Path], "list[Path]"]


@dataclass(frozen=True)
class Policy:
    """What is kept: sessions and raw data for days, and free space on the disk (0: whatever is there)."""

    days: int
    raw_keep_days: int
    min_free_bytes: int = 0


def free_bytes_of(path: Path) -> int:
    """Return how much may still be written where a path lies. Raises OSError."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


class Trimmer:
    """Does one run; ``dry_run`` only says what it would do, and writes nothing at all.

    ``on_session`` is told after each session how many of all have been seen to.
    """

    def __init__(
        self,
        data_root: Path,
        policy: Policy,
        by_sinks: BySinks,
        *,
        dry_run: bool = False,
        now_ns: Callable[[], int] = wall_ns,
        free_bytes: Callable[[Path], int] = free_bytes_of,
        remove: trash.Remove = trash.remove,
        on_session: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._data_root = data_root
        self._root = sessions_root(data_root)
        self._policy = policy
        self._by_sinks = by_sinks
        self._now_ns = now_ns
        self._free_bytes = free_bytes
        self._remove = remove
        self._on_session = on_session
        self._trimmed: dict[str, int] = {}
        self._report = Report(dry_run, min_free_bytes=policy.min_free_bytes)

    def run(self) -> Report:
        """Delete what may go, and report. Raises Fault (IO) if the sessions cannot be listed, OSError."""
        if not self._root.is_dir():
            return self._report
        alone = FileLock(self._data_root / "retention.lock", "retentiond")
        with nullcontext() if self._report.dry_run else alone:
            self._clear_leftovers()
            self._trim_all(list_sessions(self._data_root))
        return self._report

    def _trim_all(self, sessions: Sequence[Session]) -> None:
        for done, session in enumerate(sessions, 1):
            self._by_age(session)
            self._on_session(done, len(sessions))
        if self._policy.min_free_bytes:
            self._by_space(sessions)

    def _by_age(self, session: Session) -> None:
        age_ns = self._now_ns() - session.born_ns
        if age_ns > self._policy.days * DAY_NS:
            self._delete(session)
            return
        if age_ns > self._policy.raw_keep_days * DAY_NS:
            self._trim(session)
        self._keep(session, Kept(YOUNG, ""))

    def _by_space(self, sessions: Sequence[Session]) -> None:
        """Free space before its time: the oldest raw data first, and if there is none left, the oldest sessions."""
        report = self._report
        before = self._free_bytes(self._root) - (0 if report.dry_run else report.freed_bytes)
        for act in (self._trim, self._delete):
            for session in sessions:
                report.free_bytes = before + report.freed_bytes
                if report.is_short and self._is_young(session):
                    act(session, early=True)
        report.free_bytes = before + report.freed_bytes

    def _is_young(self, session: Session) -> bool:
        kept = self._report.kept.get(session.name)
        return kept is not None and kept.reason == YOUNG

    def _delete(self, session: Session, early: bool = False) -> None:
        def set_aside(folder: Path) -> list[Path]:
            return [trash.set_aside(folder, self._root, folder.name)]

        freed = self._free(session, [session.dir], set_aside, early)
        if freed is not None:
            self._report.kept.pop(session.name, None)
            self._report.sessions.append(freed)

    def _trim(self, session: Session, early: bool = False) -> None:
        if session.name in self._trimmed:
            return
        try:
            parts = trash.trimmable(session.dir)
        except OSError as error:
            self._fail(session.name, error, _CANNOT)
            return
        freed = self._free(session, parts, trash.set_raw_aside, early) if parts else None
        if freed is not None:
            self._trimmed[session.name] = freed.bytes
            self._report.raw_folders.append(freed)

    def _free(self, session: Session, parts: list[Path], set_aside: SetAside, early: bool) -> Freed | None:
        """Delete folders of a session unless something protects it; return what was freed, None if nothing was."""
        stays = session.dir not in parts
        try:
            kept = being_written(session) or self._why_kept(session, stays)
            size = 0 if kept else self._space_of(session, parts)
            if kept is None and not self._report.dry_run:
                kept = self._really_free(session, stays, set_aside)
        except (OSError, Fault) as error:
            self._fail(session.name, error, _CANNOT)
            return None
        if kept is None:
            return Freed(session.name, size, early)
        self._report.kept[session.name] = kept
        return None

    def _space_of(self, session: Session, parts: list[Path]) -> int:
        """Return what goes with these folders; what a dry run did not delete of them before does not count twice."""
        counted = self._trimmed.get(session.name, 0) if self._report.dry_run else 0
        return sum(map(trash.space_of, parts)) - counted

    def _really_free(self, session: Session, stays: bool, set_aside: SetAside) -> Kept | None:
        """Look again, now that nobody can begin to change anything; rename, delete. Raises OSError, Fault."""
        with held(session) as writer:
            with sessions_lock(self._data_root):
                session.reload()
                kept = writer or self._why_kept(session, stays)
                found = [] if kept else set_aside(session.dir)
            for path in found:
                self._remove(path)
        return kept

    def _clear_leftovers(self) -> None:
        for path in trash.leftovers(self._root):
            size = trash.space_of(path)
            try:
                if not self._report.dry_run:
                    trash.mend(path)
                    self._remove(path)
            except OSError as error:
                self._fail(path.name, error, _CANNOT)
            else:
                self._report.leftovers.append(Freed(path.name, size))

    def _why_kept(self, session: Session, stays: bool) -> Kept | None:
        return why_kept(session, self._current(), self._by_sinks, stays=stays)

    def _current(self) -> str | None:
        try:
            folder = current_folder(self._data_root)
        except (OSError, Fault) as error:
            self._fail("current", error)
            return None
        return folder.name if folder else None

    def _keep(self, session: Session, kept: Kept) -> None:
        if session.name not in self._report.failed:
            self._report.kept.setdefault(session.name, kept)

    def _fail(self, name: str, error: OSError | Fault, what: str = "") -> None:
        self._report.kept.pop(name, None)
        self._report.failed[name] = what + (error.message if isinstance(error, Fault) else _told(error))


def _told(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
