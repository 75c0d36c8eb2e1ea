"""The stand-alone logger's database: one transaction a sample, and nothing lost while it cannot be written."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchlab.telemetry_schema import (
    bring_up_to_date,
    insert_sample,
    last_key,
    missing_columns,
    next_key,
    system_row,
)

LOCK_WAIT_S = 5.0
MOST_WAITING = 1000  # samples in memory while the database cannot be written: 83 minutes at 5 s
HEADER = b"SQLite format 3\0"

_CANNOT_BE = ("readonly", "unable to open", "not authorized")  # at the start; later on it may pass

_SET_UP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA foreign_keys = ON;
PRAGMA temp_store = MEMORY;
"""


@dataclass(frozen=True)
class Sample:
    """One sample: ``system`` by column of system_sample, (core, usage), and (pid, name, cpu, mem)."""

    ts_ns: int
    system: dict[str, float | None]
    cores: list[tuple[int, float]] = field(default_factory=list)
    processes: list[tuple[int, str, float, float]] = field(default_factory=list)


class Unusable(Exception):
    """The database can never be written as it is; the message says why and what to do."""


class Store:
    """Writes samples in the order in which they were taken.

    ``why`` is what keeps it from writing now, None if nothing does; ``lost`` the number of samples that were too many
    to wait. ``say`` is told, once each, of what begins and ends.
    """

    def __init__(self, path: Path, node: str, say: Callable[[str], None], *, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self._path = path
        self._node = node
        self._say = say
        self._lock_wait_s = lock_wait_s
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._waiting: deque[Sample] = deque(maxlen=MOST_WAITING)
        self._clock_went_back = False
        self._was_open = False
        self.why: str | None = None
        self.lost = 0

    def open(self) -> None:
        """Open the database, made if it is missing. Raises Unusable; one that is busy is tried later."""
        try:
            self._connected()
        except sqlite3.Error as error:
            self._failed(error)

    def write(self, sample: Sample) -> int | None:
        """Store a sample, with those that wait; return its key, None if it has to wait. Raises Unusable."""
        if len(self._waiting) == MOST_WAITING:
            self.lost += 1
        self._waiting.append(sample)
        return self.flush()

    def flush(self) -> int | None:
        """Store the samples that wait; return the key of the last, None if one has to wait on. Raises Unusable."""
        key = None
        try:
            while self._waiting:
                key = self._taken(self._connected(), self._waiting[0])
                self._waiting.popleft()
        except sqlite3.Error as error:
            self._failed(error)
            return None
        self._works()
        return key

    @property
    def waiting(self) -> int:
        """How many samples wait in memory."""
        return len(self._waiting)

    def close(self) -> None:
        """Close the database; what was stored is stored."""
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error:
                pass  # the next to open it recovers what is in its log
        self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._inode != self._present_inode():
            self._say(f"{self._path} was deleted or replaced while it was written; it is opened anew")
            self.close()
        if self._connection is None:
            self._check_file()
            connection = sqlite3.connect(self._path, timeout=self._lock_wait_s, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._inode, self._was_open = connection, self._present_inode(), True
        return self._connection

    def _check_file(self) -> None:
        """Refuse what is certainly no database before SQLite touches it. Raises Unusable."""
        if not self._path.parent.is_dir():
            raise Unusable(f"{self._path}: found no folder {self._path.parent}, expected one; mkdir -p makes it")
        try:
            with self._path.open("rb") as file:
                head = file.read(len(HEADER))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unusable(f"{self._path}: {error.strerror}") from error
        if head and head != HEADER:
            raise Unusable(f"{self._path}: found no SQLite database, expected one or no file; it is left as it is")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.executescript(_SET_UP)
        connection.execute("BEGIN IMMEDIATE")
        lacking = missing_columns(connection)
        if lacking:
            found = f"found a table system_sample without {', '.join(lacking)}"
            raise Unusable(f"{self._path}: {found}, expected that of a telemetry logger")
        bring_up_to_date(connection)
        connection.execute("COMMIT")

    def _taken(self, connection: sqlite3.Connection, sample: Sample) -> int | None:
        """Insert one sample; one that the tables refuse must not keep the others waiting for ever."""
        try:
            return self._insert(connection, sample)
        except (sqlite3.IntegrityError, UnicodeError) as error:
            self._say(f"{self._path}: a sample is left out: {error}")
            return None

    def _insert(self, connection: sqlite3.Connection, sample: Sample) -> int:
        """Insert one sample in a transaction of its own and return its key. Raises sqlite3.Error."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            last = last_key(connection)
            key = next_key(sample.ts_ns, last)
            row = system_row(key, sample.ts_ns, sample.system, (self._node, None, 0))
            cores = ((key, *core) for core in sample.cores)
            insert_sample(connection, row, cores, ((key, *process) for process in sample.processes))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._mind_clock(sample, key)
        return key

    def _mind_clock(self, sample: Sample, key: int) -> None:
        """Say once when the clock stands before what is stored already."""
        behind_s = key - sample.ts_ns // 1_000_000_000
        went_back = behind_s > 2
        if went_back and not self._clock_went_back:
            self._say(
                f"the clock is {behind_s} s before the newest sample: the key ts goes on from there, "
                "the true time is in ts_ns"
            )
        self._clock_went_back = went_back

    def _failed(self, error: sqlite3.Error) -> None:
        """Take it as passing, said once, or raise Unusable."""
        self.close()
        said = str(error)
        if type(error) is sqlite3.DatabaseError or "malformed" in said:
            raise Unusable(
                f"{self._path}: the database is damaged ({said}); it is left as it is. Move it away, or try: "
                f"sqlite3 {self._path} .recover"
            ) from error
        if not self._was_open and any(sign in said for sign in _CANNOT_BE):
            raise Unusable(f"{self._path}: {said}, expected a file and a folder that this user may write") from error
        if self.why is None:
            self._say(f"{self._path}: {said}; samples wait in memory, up to {MOST_WAITING}, and it is tried again")
        self.why = said

    def _works(self) -> None:
        if self.why is not None:
            lost = f"; {self.lost} samples were lost" if self.lost else ", nothing was lost"
            self._say(f"{self._path} can be written again{lost}")
        self.why, self.lost = None, 0

    def _present_inode(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino
