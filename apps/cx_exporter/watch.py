"""``--watch``: exports every session once it is closed and muxd has decided all of it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from benchlab.capframex.export import Report
from benchlab.daemon.notify import Notifier
from benchlab.errors import Fault
from benchlab.files import FileLock
from benchlab.log.vouched import read_vouched
from benchlab.query.aligned import AlignedReader, Pair, pairs
from benchlab.session import Session, open_session, sessions_root
from benchlab.session_find import can_be_name
from cx_exporter.memory import Exported, Memory, recall, remember

log = logging.getLogger("cx_exporter")

POLL_S = 2.0
FIRST_RETRY_S = 10.0
LAST_RETRY_S = 600.0

Export = Callable[[Session, Pair, Path], Report]
"""Exports one pair of a session; the path is that of the result, without .csv or .json. Raises Fault."""

_Signature = tuple[int, int, int]


class Watch:
    """Looks at the sessions of a data root again and again; what fails of one is tried again, and stops no other.

    Between two looks a session is judged by its checkpoint: nothing of it is read while that stays the same.
    """

    def __init__(
        self,
        data_root: Path,
        folder: Path,
        export: Export,
        tell: Callable[[Report], None],
        notifier: Notifier,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data_root = data_root
        self._folder = folder
        self._export = export
        self._tell = tell
        self._notifier = notifier
        self._clock = clock
        self._settled: dict[str, _Signature] = {}
        self._failed: dict[str, _Failure] = {}
        self._misses_folder = False

    def serve(self, sleep: Callable[[float], None] = time.sleep) -> NoReturn:
        """Look until an exception ends it."""
        self._notifier.send("READY=1")
        try:
            while True:
                self.look()
                sleep(POLL_S)
        finally:
            self._notifier.send("STOPPING=1")

    def look(self) -> None:
        """Export what is due."""
        folders = _session_folders(self._data_root)
        self._settled = {f.name: self._settled[f.name] for f in folders if f.name in self._settled}
        for folder in folders:
            self._notifier.send("WATCHDOG=1")
            signature = _signature(folder / "state" / "mux.json")
            if signature is None or self._settled.get(folder.name) == signature or not self._is_time(folder.name):
                continue
            try:
                is_settled = self._see_to(folder)
            except Exception as error:  # a defect that one session brings out must not end the others' exports
                self._fail(folder.name, error)
                continue
            self._failed.pop(folder.name, None)
            if is_settled:
                self._settled[folder.name] = signature

    def _see_to(self, folder: Path) -> bool:
        """Export a session if it is due; tell whether nothing is left to do until its checkpoint changes."""
        vouched = read_vouched(folder / "state")
        if vouched is None or not vouched.final or vouched.rebuilding:
            return True
        memory = recall(folder / "state", vouched.generation)
        if memory.complete:
            return True
        if not self._has_folder():
            return False
        session = open_session(self._data_root, folder.name, create=False)
        with FileLock(session.state / "cx-export.lock", "cx_exporter"):  # so that retention leaves it alone
            self._export_all(session, memory)
        return True

    def _export_all(self, session: Session, memory: Memory) -> None:
        found = pairs(AlignedReader(session.dir))
        stems = _stems(session.name, list(found))
        for pair, stem in stems.items():
            if memory.has(pair):
                continue
            report = self._export(session, pair, self._folder / stem)
            _check_generation(session, memory)
            files = [path for path in (report.csv, report.json) if path]
            memory.exported.append(Exported(pair, files, report.problems))
            memory.complete = len(memory.exported) == len(stems)
            self._tell(report)
            _keep(session, memory)
        if not found:
            memory.complete = True
            log.info("session %s has no pair to export", session.name)
            _keep(session, memory)

    def _has_folder(self) -> bool:
        missed, self._misses_folder = self._misses_folder, not self._folder.is_dir()
        if self._misses_folder and not missed:
            log.warning("%s is no folder (cx_export.watch_dir): sessions wait until it is one", self._folder)
        elif missed and not self._misses_folder:
            log.info("%s is there", self._folder)
        return not self._misses_folder

    def _is_time(self, name: str) -> bool:
        failed = self._failed.get(name)
        return failed is None or self._clock() >= failed.again_s

    def _fail(self, name: str, error: Exception) -> None:
        why = error.message if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
        before = self._failed.get(name)
        if before is None or before.why != why:
            log.warning("session %s is not exported, it is tried again: %s", name, why)
        log.debug("session %s", name, exc_info=True)
        wait_s = min(2 * before.wait_s, LAST_RETRY_S) if before else FIRST_RETRY_S
        self._failed[name] = _Failure(why, wait_s, self._clock() + wait_s)


class _Failure:
    """Why a session could not be exported, and when that is tried again."""

    def __init__(self, why: str, wait_s: float, again_s: float) -> None:
        self.why = why
        self.wait_s = wait_s
        self.again_s = again_s


def stem_of(pair: Pair) -> str:
    """Return ``A_to_B`` as the name of a file, without what a file system could take amiss."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", f"{pair[0]}_to_{pair[1]}")


def _stems(session: str, found: list[Pair]) -> dict[Pair, str]:
    """Return a name for each pair; pairs that would get the same one, and what CapFrameX passes over, are numbered."""
    stems: dict[Pair, str] = {}
    for pair in found:
        stem = f"{session}_{stem_of(pair)}"
        number = 2 if stem.endswith("-stats") else 1
        while (name := f"{stem}_{number}" if number > 1 else stem) in stems.values():
            number += 1
        stems[pair] = name
    return stems


def _keep(session: Session, memory: Memory) -> None:
    """Remember what was exported; where that cannot be written, exporting it again and again would mend nothing."""
    try:
        remember(session.state, memory)
    except OSError as error:
        log.warning("session %s will be exported again after a restart: %s: %s", session.name, error, session.state)


def _check_generation(session: Session, memory: Memory) -> None:
    """Raise Fault if the aligned files were made anew while they were read."""
    vouched = read_vouched(session.state)
    if vouched is None or vouched.rebuilding or vouched.generation != memory.generation:
        raise Fault("its aligned files were made anew meanwhile")


def _session_folders(data_root: Path) -> list[Path]:
    """Return the folders of all sessions, in the order of their names; none while they cannot be listed."""
    with suppress(OSError):
        found = sessions_root(data_root).iterdir()
        return sorted(p for p in found if can_be_name(p.name) and not p.is_symlink())
    return []


def _signature(path: Path) -> _Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
