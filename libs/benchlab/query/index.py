"""The index of a session's aligned files: made segment by segment as they grow, kept in one SQLite file.

It is a cache: a function of the bytes of the files, made again where it does not fit them. docs/FORMAT.md
describes it, docs/adr/0012 says why it is as it is.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchlab.files import FILE_MODE, FOLDER_MODE, share
from benchlab.log.place import hash_before
from benchlab.query import latency_index, signal_index
from benchlab.query.aligned import LATENCY_FILE, SIGNALS_FILE
from benchlab.query.segments import SEGMENT_BYTES, Extent, Range, extent, next_segment

VERSION = 1
FILE = "history.db"

_BUSY_S = 10.0
_COMMIT_S = 0.5
_FILES = """
CREATE TABLE file (name TEXT PRIMARY KEY, generation INTEGER NOT NULL, inode INTEGER NOT NULL,
  segments INTEGER NOT NULL, offset INTEGER NOT NULL, hash TEXT NOT NULL, bad INTEGER NOT NULL);
CREATE TABLE segment (file TEXT NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
  PRIMARY KEY (file, number)) WITHOUT ROWID;
"""

_SCHEMA = _FILES + latency_index.SCHEMA + signal_index.SCHEMA

Take = Callable[[sqlite3.Connection, int, Path, Range], int]
"""Sums a segment up: number, file, bytes. Returns how many lines are bad."""

_TAKE: dict[str, Take] = {LATENCY_FILE: latency_index.take_segment, SIGNALS_FILE: signal_index.take_segment}
_TABLES = {LATENCY_FILE: latency_index.TABLES, SIGNALS_FILE: signal_index.TABLES}


@dataclass(frozen=True)
class State:
    """How far a file is indexed: ``segments`` of it, that is all before ``offset``, with so many bad lines."""

    segments: int = 0
    offset: int = 0
    hash: str = ""
    bad: int = 0


class Index:
    """The index of one session, in ``state/index/`` where that may be written, else in a temporary folder.

    Any number of threads and processes may use it at once; one of them builds, the others read what is there.
    Methods raise OSError when the session is gone or its files cannot be read.
    """

    def __init__(self, session_dir: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.dir = session_dir
        self._segment_bytes = segment_bytes
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._path: Path | None = None
        self._opening = threading.Lock()
        self._building = {name: threading.Lock() for name in _TAKE}

    def file(self, name: str) -> Path:
        """Return where an aligned file lies."""
        return self.dir / "aligned" / name

    @contextlib.contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Give a connection in which everything read is of one moment."""
        path = self._existing()
        connection = _empty() if path is None else _connection(path)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()

    def refresh(self, name: str, budget_s: float = 60.0) -> float:
        """Index what came since, for at most about ``budget_s``; return what share of what is settled is indexed.

        If somebody else is at it, nothing is done.
        """
        now = extent(self.dir, name)
        with self.connected() as connection:
            state = self.state(connection, name, now)
        if self._next(name, state, now) is None:
            return 1.0  # also of a small file, which needs no index
        if not self._building[name].acquire(blocking=False):
            return state.offset / now.settled
        try:
            return self._build(name, now, time.monotonic() + budget_s)
        finally:
            self._building[name].release()

    def state(self, connection: sqlite3.Connection, name: str, now: Extent) -> State:
        """Return how far a file is indexed: not at all where the index is that of another file."""
        found = _state(connection, name, now)
        return found if found is not None and _fits(found, now, self.file(name)) else State()

    def close(self) -> None:
        """Forget a temporary index; one in the session stays."""
        with self._opening:
            if self._temporary is not None:
                self._temporary.cleanup()
            self._temporary = self._path = None

    def _build(self, name: str, now: Extent, deadline_s: float) -> float:
        connection = _connection(self._located())
        try:
            while True:
                connection.execute("BEGIN IMMEDIATE")
                state = _state(connection, name, now)
                if state is None or not _fits(state, now, self.file(name)):
                    _forget(connection, name)
                    state = State()
                commit_s = min(deadline_s, time.monotonic() + _COMMIT_S)
                state, done = self._build_until(connection, name, state, now, commit_s)
                _save(connection, name, state, now)
                connection.execute("COMMIT")
                if done or time.monotonic() >= deadline_s:
                    return 1.0 if done else state.offset / now.settled
        finally:
            connection.close()

    def _build_until(
        self, connection: sqlite3.Connection, name: str, state: State, now: Extent, commit_s: float
    ) -> tuple[State, bool]:
        """Take in segments until a time, at least one; return the state, and whether there is no more."""
        path, number, offset, bad = self.file(name), state.segments, state.offset, state.bad
        begun = False
        while (where := self._next(name, State(number, offset), now)) is not None:
            if begun and time.monotonic() >= commit_s:
                break
            begun = True
            bad += _TAKE[name](connection, number, path, where)
            connection.execute("INSERT INTO segment VALUES (?,?,?,?)", (name, number, *where))
            number, offset = number + 1, where[1]
        hashed = hash_before(path, offset) if begun else state.hash
        return State(number, offset, hashed, bad), where is None

    def discard(self) -> None:
        """Throw the index away because it turned out to be damaged."""
        with self._opening:
            if self._path is not None:
                _remove(self._path)
            self._path = None

    def _next(self, name: str, state: State, now: Extent) -> Range | None:
        return next_segment(self.file(name), state.segments, state.offset, now.settled, self._segment_bytes)

    def _existing(self) -> Path | None:
        """Return the file of the index; None if there is none yet."""
        with self._opening:
            if self._path is None:
                found = self.dir / "state" / "index" / FILE
                self._path = found if _is_usable(found) else None
            elif not self._path.exists():
                self._path = None
            return self._path

    def _located(self) -> Path:
        """Return the file of the index, made if it is missing."""
        found = self._existing()
        with self._opening:
            self._path = found or self._in_session() or self._elsewhere()
            return self._path

    def _in_session(self) -> Path | None:
        if not self.dir.is_dir():
            raise FileNotFoundError(f"{self.dir} is gone")
        folder = self.dir / "state" / "index"
        try:
            for path in (folder.parent, folder):  # not the session above them: it may have been deleted
                if not path.is_dir():
                    path.mkdir(FOLDER_MODE)
                    share(path)
            return _made(folder / FILE)
        except (OSError, sqlite3.OperationalError):
            return None

    def _elsewhere(self) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="benchlab-index-")
        return _made(Path(self._temporary.name) / FILE)


def _made(path: Path) -> Path:
    """Return the path of a new index; what is there, damaged or of another version, is replaced."""
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} may not be written")
    _remove(path)
    connection = _connection(path)
    try:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    finally:
        connection.close()
    path.chmod(FILE_MODE)
    share(path)
    return path


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


def _is_usable(path: Path) -> bool:
    """Return whether an index is there, whole as far as can be told, of this version, and may be written."""
    try:
        may_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        return may_write and _version(path) == VERSION
    except sqlite3.DatabaseError:
        return False


def _empty() -> sqlite3.Connection:
    """Return an index of nothing, for files that are too small to have one."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(_SCHEMA)
    return connection


def _connection(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _version(path: Path) -> int:
    connection = _connection(path)
    try:
        connection.execute("SELECT name FROM file").fetchall()
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def _state(connection: sqlite3.Connection, name: str, now: Extent) -> State | None:
    """Return how far a file of this generation is indexed, None if it is not at all."""
    columns = "segments, offset, hash, bad"
    sql = f"SELECT {columns} FROM file WHERE name = ? AND generation = ? AND (generation > 0 OR inode = ?)"
    row = connection.execute(sql, (name, now.generation, now.identity[1])).fetchone()
    return State(*row) if row else None


def _fits(state: State, now: Extent, path: Path) -> bool:
    """Return whether the line before the offset is the one that was indexed."""
    if state.offset == 0:
        return True
    return state.offset <= now.size and hash_before(path, state.offset) == state.hash


def _forget(connection: sqlite3.Connection, name: str) -> None:
    for table in _TABLES[name]:
        connection.execute(f"DELETE FROM {table}")
    connection.execute("DELETE FROM segment WHERE file = ?", (name,))


def _save(connection: sqlite3.Connection, name: str, state: State, now: Extent) -> None:
    values = (name, now.generation, now.identity[1], state.segments, state.offset, state.hash, state.bad)
    connection.execute("INSERT OR REPLACE INTO file VALUES (?,?,?,?,?,?,?)", values)
