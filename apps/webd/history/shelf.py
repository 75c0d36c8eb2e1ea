"""The sessions that are looked at: their indexes, kept while they are in use and made in the background."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from anyio import to_thread

from benchlab.errors import Fault
from benchlab.log.reader import RawChanged
from benchlab.query.aligned import LATENCY_FILE, SIGNALS_FILE
from benchlab.query.index import Index
from benchlab.query.latency import LatencyHistory
from benchlab.query.signals import SignalHistory
from webd.errors import Refusal

T = TypeVar("T")

KEPT = 8
PATIENCE_S = 0.3
"""So long a request waits for the index; what is not indexed by then is left out, and the answer says so."""

KEEP_S = 30.0

_SLICE_S = 0.2
_PAUSE_S = 0.01  # between two slices, so that the rest of the program gets its turn


class History:
    """What can be asked about one session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index(folder)
        self.latency = LatencyHistory(self.index)
        self.signals = SignalHistory(self.index)


class Shelf:
    """Histories by folder. Used by threads; one more thread, begun when it is needed, indexes what is large."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int], History] = OrderedDict()
        self._due: SimpleQueue[tuple[History, str]] = SimpleQueue()
        self._queued: set[tuple[Path, str]] = set()
        self._builder: threading.Thread | None = None

    def history(self, folder: Path, *, keep: bool = True) -> History:
        """Return the history of a session, and ``keep`` it for the next request. Raises Refusal (404) if it is gone."""
        try:
            status = folder.stat()
        except OSError:
            raise gone(folder) from None
        key = (folder.name, status.st_dev, status.st_ino)
        with self._lock:
            if not keep:
                return self._kept.get(key) or History(folder)
            found = self._kept.pop(key, None) or History(folder)
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def indexed(self, history: History, name: str, patience_s: float = PATIENCE_S) -> float:
        """Index what came since, for a moment; return the share that is indexed. The rest is made in the background."""
        share = history.index.refresh(name, patience_s)
        if share < 1:
            self._order(history, name)
        return share

    @asynccontextmanager
    async def keeping(self, current: Callable[[], Path | None]) -> AsyncIterator[None]:
        """Index the session that is current as it grows, so that hours of it open at once."""
        task = asyncio.create_task(self._keep(current))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self, current: Callable[[], Path | None]) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            await to_thread.run_sync(self.keep, current)

    def keep(self, current: Callable[[], Path | None]) -> None:
        """Index what came since; what fails is told to whoever asks."""
        folder = current()
        if folder is None:
            return
        with suppress(Refusal, OSError, Fault, sqlite3.Error):
            history = self.history(folder)
            for name in (LATENCY_FILE, SIGNALS_FILE):
                self.indexed(history, name)

    def _order(self, history: History, name: str) -> None:
        with self._lock:
            if (history.folder, name) in self._queued:
                return
            self._queued.add((history.folder, name))
            self._due.put((history, name))
            if self._builder is None:
                self._builder = threading.Thread(target=self._build, name="index", daemon=True)
                self._builder.start()

    def _build(self) -> None:
        while True:
            history, name = self._due.get()
            try:
                while history.index.refresh(name, _SLICE_S) < 1:
                    time.sleep(_PAUSE_S)
            except (OSError, Fault, sqlite3.Error):
                pass  # whoever asks next is told why
            with self._lock:
                self._queued.discard((history.folder, name))


def answer(history: History, work: Callable[[History], T]) -> T:
    """Return what ``work`` finds out; once more where the files were made anew meanwhile, or the index is damaged.

    Raises Refusal: 404 if the session is gone, 503 while it changes, 500 where it cannot be read.
    """
    for is_last in (False, True):
        try:
            return work(history)
        except Refusal:
            raise
        except RawChanged as error:
            _check_there(history.folder)
            if is_last:
                raise Refusal(503, f"{error.message}: ask again", headers={"Retry-After": "1"}) from error
        except sqlite3.Error as error:
            _check_there(history.folder)
            if is_last:
                raise Refusal(500, f"the index of {history.folder.name} cannot be used: {error}") from error
            history.index.discard()
        except (OSError, Fault) as error:
            _check_there(history.folder)
            raise Refusal(500, f"session {history.folder.name} cannot be read: {error}") from error
    raise AssertionError("not reached")


def _check_there(folder: Path) -> None:
    if not folder.is_dir():
        raise gone(folder)


def gone(folder: Path) -> Refusal:
    """Return what is said of a session that was deleted."""
    return Refusal(404, f"session {folder.name} is gone: it was deleted while it was looked at")
