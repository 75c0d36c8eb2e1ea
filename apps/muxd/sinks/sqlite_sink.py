"""sqlite: the session as tables in ``store/telemetry.db``, rows and cursors in one transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

from benchlab.config import Config
from benchlab.files import FILE_MODE, make_dir, share
from benchlab.session import Session
from muxd.sinks.cursor import Cursor, Cursors
from muxd.sinks.feed import PIMON_STREAM
from muxd.sinks.sink import Record, Rejected, StoreChanged, Transient
from muxd.sinks.sqlite_rows import INSERT, Rows, Unfit
from muxd.sinks.sqlite_schema import TABLES, migrate
from muxd.sinks.sqlite_ticks import Ticks

FILE = "telemetry.db"
LOCK_WAIT_S = 1.0
LARGEST_CHECKED = 1 << 30  # bytes; the check reads it all, damage in a larger one shows when it is met
LARGEST_WAL = 64 << 20  # bytes; what a long read made it grow beyond is given back

_SET_UP = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA foreign_keys = ON;
PRAGMA journal_size_limit = {LARGEST_WAL};
"""
_INSERT = {t: f"INSERT INTO {t} ({c}) VALUES ({','.join('?' * (c.count(',') + 1))})" for t, c in INSERT.items()}
_SAVE_CURSOR = """
INSERT INTO cursor (session, stream, generation, offset, hash, sim) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET generation = excluded.generation, offset = excluded.offset, hash = excluded.hash,
  sim = MAX(sim, excluded.sim)
"""


def make(session: Session, config: Config) -> SqliteSink:
    """Return the sink of a session."""
    return SqliteSink(session.dir / "store" / FILE, session.info.id, session.info.node)


def _utc_now() -> str:
    return datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")


class SqliteSink:
    """Keeps one session's rows. The store is a plain SQLite file; readers are never in its way, nor it in theirs.

    A damaged store is set aside as ``telemetry.db.corrupt-TIME``; one that was deleted or replaced is noticed
    before the next write.
    """

    def __init__(self, path: Path, session: str, node: str | None, *, now: Callable[[], str] = _utc_now) -> None:
        self._path = path
        self._session = session
        self._rows = Rows(session, node)
        self._ticks = Ticks(session, node)
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._cursors: Cursors = {}

    def open(self) -> Cursors:
        """Open the store, checked and of the present version. Raises Transient, StoreChanged."""
        with self._told():
            fresh = self._connection is None
            connection = self._connected()
            if fresh and self._path.stat().st_size <= LARGEST_CHECKED:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(found)
            migrate(connection)
            self._cursors = self._stored(connection)
        return dict(self._cursors)

    def write(self, batch: Sequence[Record], cursors: Cursors) -> None:
        """Store rows and cursors in one transaction. Raises Transient, Rejected, StoreChanged."""
        with self._told():
            connection = self._begun()
            try:
                self._insert(connection, batch)
            except (Unfit, sqlite3.Error, OverflowError) as error:
                if _is_of_the_store(error):
                    raise
                connection.execute("ROLLBACK")
                raise self._rejection(connection, batch, str(error)) from error
            self._save(connection, batch, cursors)
            connection.execute("COMMIT")
        self._cursors = dict(cursors)

    def clear(self) -> None:
        """Delete this session's rows and cursors. Raises Transient, StoreChanged."""
        with self._told():
            connection = self._begun()
            for table in (*TABLES, "cursor"):
                connection.execute(f"DELETE FROM {table} WHERE session = ?", (self._session,))
            connection.execute("COMMIT")
        self._cursors = {}

    def close(self) -> None:
        """Close the store; what was not committed is not in it."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            make_dir(self._path.parent)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            share(fd)  # SQLite gives its other files the mode and group of this one
            os.close(fd)
            self._inode = self._present_inode()
            self._connection = sqlite3.connect(self._path, timeout=LOCK_WAIT_S, isolation_level=None)
            self._connection.executescript(_SET_UP)
        return self._connection

    def _begun(self) -> sqlite3.Connection:
        """Return the connection within a transaction, on the store as this sink left it."""
        if self._inode != self._present_inode():
            self._discard()
            raise StoreChanged(f"{self._path} was deleted or replaced")
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        if self._stored(connection) != self._cursors:
            connection.execute("ROLLBACK")
            raise StoreChanged(f"{self._path} was changed by somebody else")
        return connection

    def _stored(self, connection: sqlite3.Connection) -> Cursors:
        query = "SELECT stream, generation, offset, hash FROM cursor WHERE session = ?"
        return {stream: Cursor(*rest) for stream, *rest in connection.execute(query, (self._session,))}

    def _insert(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """Insert the rows of records. Raises Unfit, sqlite3.Error, OverflowError."""
        ticks = [record for record in records if record.stream == PIMON_STREAM]
        others = [record for record in records if record.stream != PIMON_STREAM] if ticks else records
        for table, rows in self._rows.grouped(others).items():
            connection.executemany(_INSERT[table], rows)
        for record in ticks:
            self._ticks.insert(connection, record)

    def _save(self, connection: sqlite3.Connection, batch: Sequence[Record], cursors: Cursors) -> None:
        simulated = {record.stream for record in batch if record.event.sim}
        rows = [(self._session, s, c.generation, c.offset, c.hash, s in simulated) for s, c in cursors.items()]
        connection.executemany(_SAVE_CURSOR, rows)

    def _rejection(self, connection: sqlite3.Connection, batch: Sequence[Record], why: str) -> Exception:
        """Find the records that cannot be stored by trying each. Raises sqlite3.Error when the store fails."""
        unfit, said = [], why
        connection.execute("BEGIN IMMEDIATE")
        for record in batch:
            try:
                self._insert(connection, [record])
            except (Unfit, sqlite3.Error, OverflowError) as error:
                if _is_of_the_store(error):
                    raise
                unfit.append(record)
                said = str(error)
        connection.execute("ROLLBACK")
        return Rejected(unfit, "unfit", said) if unfit else Transient(f"{self._path}: {why}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite and the disk say into Transient, or set a damaged store aside and raise StoreChanged."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._discard()  # a new connection sees what was really committed
            if type(error) is not sqlite3.DatabaseError:
                raise Transient(f"{self._path}: {error}") from error
            aside = self._set_aside()
            raise StoreChanged(f"{self._path} is damaged ({error}): set aside as {aside.name}, made anew") from error

    def _discard(self) -> None:
        """Close the connection, whatever state it is in."""
        try:
            self.close()
        except sqlite3.Error:
            self._connection = None

    def _set_aside(self) -> Path:
        """Rename the store, with what was not yet moved into it. Raises Transient."""
        name = f"{FILE}.corrupt-{self._now()}"
        names = (f"{name}-{number}" if number > 1 else name for number in count(1))
        aside = next(path for path in map(self._path.with_name, names) if not path.exists())
        try:
            self._path.with_name(f"{FILE}-shm").unlink(missing_ok=True)  # only an index of the next
            log_ahead = self._path.with_name(f"{FILE}-wal")
            if log_ahead.exists():
                log_ahead.replace(aside.with_name(f"{aside.name}-wal"))
            self._path.replace(aside)
        except OSError as error:
            raise Transient(f"{self._path} is damaged and cannot be set aside: {error.strerror}") from error
        return aside

    def _present_inode(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino


def _is_of_the_store(error: Exception) -> bool:
    """Whether an error is about the store, not about a row: SQLite tells damage by the plain DatabaseError."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError
