"""Appending to a log so that nothing written is ever damaged and nothing lost goes unsaid."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from benchlab.errors import Fault
from benchlab.event import Event, Value, encode_lines, meta
from benchlab.files import FILE_MODE, FileLock, fsync_dir, share
from benchlab.log.lines import MAX_LINE
from benchlab.log.ring import Loss, Ring
from benchlab.log.tail import read_tail

_ALIVE_NS = 1_000_000_000
_DRAIN_BYTES = 256 * 1024


@dataclass(slots=True)
class WriterStats:
    """What a writer did.

    ``lines`` it took or made itself, ``lost`` of them given up; ``bytes`` on disk; ``errors`` of the disk.
    """

    lines: int = 0
    bytes: int = 0
    lost: int = 0
    errors: int = 0


class LogWriter:
    """The one writer of ``path``; its methods may be called from any thread.

    A line is on disk whole, or not at all, or is the last one. What cannot be written (disk full, I/O error)
    waits in a ring of ``ring_bytes``; when that overflows the oldest lines are given up, and a ``gap`` line
    says how many as soon as writing works again. ``seq`` counts lost lines too, so the jump shows where they
    were. ``clock`` is the session's timeline in ns; ``write`` and ``fsync`` are the system calls.

    Raises Fault (IO) when another process writes the file (naming both) or it cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        lock_path: Path,
        *,
        clock: Callable[[], int],
        fsync_s: float = 1.0,
        ring_bytes: int = 4 * 1024 * 1024,
        write: Callable[[int, bytes], int] = os.write,
        fsync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self.path = path
        self.stats = WriterStats()
        self._clock = clock
        self._fsync_ns = int(fsync_s * 1e9)
        self._write = write
        self._fsync = fsync
        self._ring = Ring(ring_bytes)
        self._mutex = Lock()
        self._fsync_mutex = Lock()  # apart, so that a slow disk does not hold up those who only write
        self._started = False
        self._unclean = False
        self._next_seq = 0
        self._failure = ""  # what the system said last
        self._dirty = False
        self._synced_ns = self._last_ns = clock()
        self.last_event_ns: int | None = None
        """The time of the event that was written last."""
        self._lock = FileLock(lock_path, f"the writer of {path}")
        self._fd: int | None = None
        self._lock.acquire()
        try:
            self._fd = _open(path)
            self._take_over()
        except BaseException:
            self._let_go()
            raise

    def start(self, fields: Mapping[str, Value | None]) -> None:
        """Write the ``start`` line, after a ``gap`` if the file does not end with a ``stop``."""
        with self._mutex:
            now = self._clock()
            lines = [meta(now, "start", fields)]
            if self._unclean:
                lines.insert(0, meta(now, "gap", {"n": None, "why": "unclean_end"}))
            self._append(lines)
            self._started = True
            self._unclean = False

    def write(self, events: Sequence[Event]) -> None:
        """Append the events, in order, with one system call; their ``seq`` is set.

        Raises TypeError or ValueError, with nothing written, for what cannot be JSON or is longer than a line
        may be, and ValueError after ``stop``. A disk that fails is no error here: the lines wait.
        """
        if not events:
            return
        with self._mutex:
            self._append(events)

    def tick(self) -> None:
        """Do what is due: retry, say ``alive`` after a second of silence, fsync. Call it every 0.25 s or so.

        ``alive`` vouches for the time, so an event that is older must be written before it, not after.
        """
        with self._mutex:
            if self._fd is None:
                return
            self._drain()
            now = self._clock()
            if self._started and not self._ring and now - self._last_ns >= _ALIVE_NS:
                self._append([meta(now, "alive")])
            due = self._dirty and now - self._synced_ns >= self._fsync_ns
            if due:
                self._dirty = False
                self._synced_ns = now
                self._follow_name()
        if due and not self._sync():
            with self._mutex:
                self.stats.errors += 1
                self._dirty = True

    def stop(self, at_ns: int | None = None) -> None:
        """Write the ``stop`` line, make all durable, and let go of the file; the second time nothing happens.

        ``at_ns`` is when the stream ended, if that was not now.
        Lines that still cannot be written are lost; without a ``stop``, the next start tells of it.
        """
        with self._mutex:
            if self._fd is None:
                return
            self._drain()
            if self._started and not self._ring:
                self._append([meta(self._clock() if at_ns is None else at_ns, "stop")])
            self._ring.abandon()
            self.stats.lost = self._ring.lost
            self.stats.errors += not self._sync()
            self._let_go()

    def _let_go(self) -> None:
        with self._fsync_mutex:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
        self._lock.release()

    def _take_over(self) -> None:
        """Learn how the file ends; complete a torn last line, so that the next one is not glued to it."""
        tail = read_tail(self.path)
        self._next_seq = tail.next_seq
        self._unclean = not tail.stopped
        self._ring.begun = b"\n" if tail.torn else b""
        self._drain()

    def _append(self, events: Sequence[Event]) -> None:
        if self._fd is None:
            raise ValueError(f"{self.path} is closed: its writer was stopped")
        data = self._encode(events)
        self._next_seq += len(events)
        self.stats.lines += len(events)
        self.last_event_ns = events[-1].ts_ns
        if self._ring:
            self._ring.put(data)
        elif (written := self._try_write(data)) < len(data):
            self._ring.put_back(data, written)
        self._last_ns = self._clock()  # only now: a slow disk is no silence, for more is on its way already
        if self._ring:
            self._drain()

    def _encode(self, events: Sequence[Event]) -> bytes:
        for seq, event in enumerate(events, self._next_seq):
            event.seq = seq
        data = encode_lines(events)
        if len(data) > MAX_LINE and max(map(len, data.split(b"\n"))) > MAX_LINE:
            raise ValueError(f"a line for {self.path} is longer than the {MAX_LINE} bytes that readers take")
        return data

    def _try_write(self, data: bytes) -> int:
        """Return how many bytes the system took: 0 if it failed."""
        assert self._fd is not None
        try:
            written = self._write(self._fd, data)
        except OSError as error:
            self.stats.errors += 1
            self._failure = error.strerror or str(error)
            return 0
        self.stats.bytes += written
        self._dirty = True
        return written

    def _drain(self) -> None:
        """Write what waits, as far as the system takes it, then the ``gap`` for what was given up."""
        while self._ring:
            written = self._try_write(self._ring.front(_DRAIN_BYTES))
            if not written:
                break
            self._ring.written(written)
        if self._ring.loss and not self._ring:
            self._tell_loss(self._ring.loss)
        self.stats.lost = self._ring.lost

    def _tell_loss(self, loss: Loss) -> None:
        """Write a ``gap``; it never waits in the ring itself, where it could be given up with its count."""
        fields: dict[str, Value | None] = {"n": loss.lines, "why": "write_failed", "error": self._failure}
        fields.update(from_ns=loss.from_ns, to_ns=loss.to_ns)
        data = self._encode([meta(self._clock(), "gap", fields)])
        written = self._try_write(data)
        if written:
            self._next_seq += 1
            self.stats.lines += 1
            self._ring.loss = None
            self._ring.put_back(data, written)

    def _sync(self) -> bool:
        with self._fsync_mutex:
            try:
                if self._fd is not None:
                    self._fsync(self._fd)
            except OSError:
                return False
        return True

    def _follow_name(self) -> None:
        """Go on in the file that bears the name: what goes to a removed one, nobody will read."""
        assert self._fd is not None
        try:
            if os.path.samestat(self.path.stat(), os.fstat(self._fd)):
                return
        except OSError:
            pass  # opening will tell
        try:
            fd = _open(self.path)
        except Fault:
            self.stats.errors += 1
            return
        with self._fsync_mutex:
            os.close(self._fd)
            self._fd = fd
        # The new file may end torn; if it does not, this makes a blank line, which is none.
        self._ring.begun = b"\n" if os.fstat(fd).st_size else b""
        self._append([meta(self._clock(), "gap", {"n": None, "why": "file_removed"})])


def _open(path: Path) -> int:
    """Open a log for appending, create it if need be. Raises Fault (IO)."""
    new = not path.exists()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, FILE_MODE)
        if new:
            os.fchmod(fd, FILE_MODE)  # the umask must not decide who reads
            share(fd)
            fsync_dir(path.parent)
    except OSError as error:
        raise Fault(f"{path} cannot be opened for appending: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Fault(f"{path} is not a regular file: a stream is one")
    return fd
