"""Waiting for something to happen in a folder: inotify where it works, polling where it does not."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from pathlib import Path
from types import TracebackType

_IN_MODIFY = 0x2
_IN_MOVED_FROM = 0x40
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_UNMOUNT = 0x2000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x1000000
_EVENTS = _IN_MODIFY | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF
_GONE = _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_UNMOUNT | _IN_IGNORED
_HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_DOUBT_S = 1.0  # after so much silence, at the latest, the folder itself is looked at

_Snapshot = dict[str, tuple[int, int, int]]


class Watcher:
    """Wakes a reader when a file in ``directory`` appears, grows, moves or goes.

    It polls every ``poll_s`` where there is no inotify (its instances are used up, the folder is not there),
    and from the moment inotify is caught silent over a change, as on network file systems. A change
    between two calls of ``wait`` is reported by the second, so a reader that reads to the end before it waits
    misses nothing.
    """

    def __init__(self, directory: Path, *, poll_s: float = 0.005) -> None:
        self.directory = directory
        self._poll_s = poll_s
        self._fd = _inotify(directory)
        self._seen: _Snapshot | None = _snapshot(directory)  # None: not looked at since inotify spoke last

    @property
    def polling(self) -> bool:
        """Whether the folder is polled because inotify does not serve."""
        return self._fd is None

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when something happened, for a loop of events; None while polling.

        ``wait(0)`` then takes what there is to tell, and may find that it has to be polled from now on.
        """
        return self._fd

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as something happened since the last call, False after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while self._fd is not None:
            left = max(0.0, deadline - time.monotonic())
            if self._heard(min(left, _DOUBT_S)) or self._was_deaf():
                return True
            if left <= _DOUBT_S:
                return False
        return self._poll(deadline)

    def close(self) -> None:
        """Stop watching; harmless when it was stopped."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Watcher:
        """Return the watcher; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        self.close()

    def _heard(self, timeout_s: float) -> bool:
        """Whether inotify reports something within the timeout; all it has to say is taken."""
        if self._fd is None:
            return False
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if not poller.poll(timeout_s * 1000):
            return False
        self._seen = None
        if any(mask & _GONE for mask in _take_masks(self._fd)):
            self.close()  # the folder of this name, if there is one again, is another
        return True

    def _was_deaf(self) -> bool:
        """Whether the folder changed though inotify is silent; it is polled from then on."""
        before, self._seen = self._seen, _snapshot(self.directory)
        changed = before is not None and before != self._seen
        if changed and not self._heard(0):
            self.close()
        return changed

    def _poll(self, deadline: float) -> bool:
        while True:
            before, self._seen = self._seen, _snapshot(self.directory)
            if before != self._seen:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, self._poll_s))


def _inotify(directory: Path) -> int | None:
    """Return a descriptor that is readable when something happened in the folder; None without inotify."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    except (OSError, AttributeError):
        return None
    if fd < 0:
        return None
    if libc.inotify_add_watch(fd, os.fsencode(directory), _EVENTS | _IN_ONLYDIR) < 0:
        os.close(fd)
        return None
    return fd


def _take_masks(fd: int) -> list[int]:
    """Take all that inotify has to report now, and return what kinds of events it was."""
    masks: list[int] = []
    while True:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return masks
        position = 0
        while position < len(data):
            _, mask, _, length = _HEADER.unpack_from(data, position)
            position += _HEADER.size + length
            masks.append(mask)


def _snapshot(directory: Path) -> _Snapshot:
    """Return what a change would alter: inode, size and time of change of each file."""
    found: _Snapshot = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except OSError:
                    continue
                found[entry.name] = (status.st_ino, status.st_size, status.st_mtime_ns)
    except OSError:
        pass
    return found
