"""The files muxd writes: appended to, cut back to what a checkpoint vouches for, swapped as a whole by a rebuild."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchlab.errors import Exit, Fault
from benchlab.event import encode_lines
from benchlab.files import FILE_MODE, fsync_dir, make_dir, share
from benchlab.session import Session

LATENCY_FILE = "latency.jsonl"
SIGNALS_FILE = "signals.jsonl"
LATE_FILE = "late.jsonl"
ALIGNED_FILES = (LATENCY_FILE, SIGNALS_FILE, LATE_FILE)
NEW = ".new"  # what a rebuild writes until it is whole


class OutputFile:
    """One append-only file. ``length`` counts what was accepted; a full disk keeps the end of it in memory.

    ``trouble`` says why while it is so.
    ``tail`` rows are provisional: they lie beyond ``length`` and go with the next ``write`` or ``drop_tail``.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path = path
        self.length = length
        self.trouble: str | None = None
        self._pending = b""
        self._has_tail = False
        try:
            make_dir(path.parent)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            share(self._fd)
            if os.fstat(self._fd).st_size != length:
                os.ftruncate(self._fd, length)
        except OSError as error:
            raise Fault(f"{path} cannot be written: {error.strerror}", Exit.IO) from error

    def write(self, data: bytes) -> None:
        """Accept data; what the disk does not take now is kept for ``flush``."""
        self.drop_tail()
        self._pending += data
        self.length += len(data)
        self.flush()

    def flush(self) -> None:
        """Write what is pending as far as the disk takes it."""
        while self._pending:
            try:
                done = os.pwrite(self._fd, self._pending, self.length - len(self._pending))
            except OSError as error:
                self.trouble = f"{self.path} cannot be written ({error.strerror})"
                return
            self._pending = self._pending[done:]
        self.trouble = None

    def write_tail(self, data: bytes) -> None:
        """Show rows that the next bytes may change; best effort, for they are written again."""
        if self._pending:
            return
        self._has_tail = True
        try:
            os.pwrite(self._fd, data, self.length)
        except OSError:
            self.drop_tail()

    def drop_tail(self) -> None:
        """Cut the provisional rows off."""
        if self._has_tail:
            os.ftruncate(self._fd, self.length)
            self._has_tail = False

    def sync(self) -> None:
        """Make what was written durable. Raises OSError."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Outputs:
    """The files of one muxing by name: the aligned ones, and ``quarantine/<stream>`` for bad lines.

    ``locate`` says where a file of that name lies; ``suffix`` is appended while a rebuild writes beside the old.
    """

    def __init__(self, locate: Callable[[str], Path], lengths: Mapping[str, int], suffix: str = "") -> None:
        self._locate = locate
        self._suffix = suffix
        self._files = {name: self._open(name, lengths.get(name, 0)) for name in {*ALIGNED_FILES, *lengths}}

    def append(self, name: str, rows: Iterable[object]) -> None:
        """Append rows to a file of that name."""
        data = encode_lines(rows)
        if data:
            self._file(name).write(data)

    def show_tail(self, name: str, rows: Iterable[object]) -> None:
        """Show provisional rows at the end of a file."""
        data = encode_lines(rows)
        if data:
            self._file(name).write_tail(data)

    def drop_tails(self) -> None:
        """Cut all provisional rows off."""
        for file in self._files.values():
            file.drop_tail()

    def flush(self) -> str | None:
        """Write what is pending; return why the disk does not take everything, None if it does."""
        for file in self._files.values():
            file.flush()
        return next((file.trouble for file in self._files.values() if file.trouble), None)

    def lengths(self) -> dict[str, int]:
        """Return how long each file is without provisional rows."""
        return {name: file.length for name, file in sorted(self._files.items())}

    def sync(self) -> None:
        """Make all files durable. Raises OSError."""
        for file in list(self._files.values()):
            file.sync()

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def swap_in(self) -> None:
        """Give files that were written beside the old ones, and synced, their names. Raises OSError."""
        for name in self._files:
            path = self._locate(name)
            path.with_name(path.name + self._suffix).replace(path)
        self._suffix = ""
        for folder in {self._locate(name).parent for name in self._files}:
            fsync_dir(folder)

    def _file(self, name: str) -> OutputFile:
        if name not in self._files:
            self._files[name] = self._open(name)
        return self._files[name]

    def _open(self, name: str, length: int = 0) -> OutputFile:
        path = self._locate(name)
        return OutputFile(path.with_name(path.name + self._suffix), length)


def discard_unfinished(session: Session) -> None:
    """Remove what a rebuild left that was killed before it replaced anything. Raises OSError."""
    for folder in (session.dir / "aligned", session.dir / "quarantine"):
        for path in folder.glob(f"*{NEW}"):
            path.unlink()


def in_session(session: Session) -> Callable[[str], Path]:
    """Return where a session keeps its outputs."""
    return lambda name: session.dir / name if "/" in name else session.aligned / name


def in_folder(folder: Path) -> Callable[[str], Path]:
    """Return where outputs lie that are written elsewhere."""
    return lambda name: folder / name
