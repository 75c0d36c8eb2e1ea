"""Files that survive a crash: atomic replacement, locks that name their holder, folders for the group."""

from __future__ import annotations

import errno
import fcntl
import grp
import json
import os
import pwd
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from benchlab.errors import Exit, Fault

FILE_MODE = 0o640
FOLDER_MODE = 0o750
GROUP = "benchlab"

# Asking who holds a lock takes it for an instant; an honest owner must not fail over that.
_PATIENCE_S = 0.2
_POLL_S = 0.005


def write_atomic(
    path: Path, data: bytes, mode: int = FILE_MODE, *, before: Callable[[], object] = lambda: None
) -> None:
    """Replace a file so that a reader, or a power loss, sees the old content or the new, nothing between.

    ``before`` is called when all is written and only the replacement is left; what it raises prevents that.
    Raises OSError; the old file is then untouched and no temporary file remains, nor when it is interrupted.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        _write_synced(temporary, data, mode)
        before()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)  # the umask must not decide who reads
        share(fd)
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_dir(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_dir(path: Path) -> None:
    """Create a folder and the ones above it that are missing, readable by the group. Raises OSError."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:  # somebody else was faster; theirs will do if it is a folder
            if not folder.is_dir():
                raise
            continue
        folder.chmod(FOLDER_MODE)
        if share(folder):
            _inherit_group(folder)


def share(target: int | Path) -> bool:
    """Give a file to the group ``benchlab`` if that group exists and we may; return whether it was done.

    Root gives it to the user of that name too, as whom the services go on with it.
    """
    gid = _group_id()
    if gid is None:
        return False
    try:
        os.chown(target, _user_id() if os.geteuid() == 0 else -1, gid)
    except OSError:
        return False
    return True


def _inherit_group(folder: Path) -> None:
    """Make what is created inside belong to the folder's group; a sandbox may forbid it: no failure."""
    try:
        folder.chmod(0o2000 | FOLDER_MODE)
    except OSError:
        pass


@lru_cache(maxsize=1)
def _group_id() -> int | None:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except (KeyError, OSError):
        return None


@lru_cache(maxsize=1)
def _user_id() -> int:
    """Return the user that the services run as, -1 if there is none."""
    try:
        return pwd.getpwnam(GROUP).pw_uid
    except (KeyError, OSError):
        return -1


def storage_fault(error: OSError, folder: Path) -> Fault:
    """Return the one line about a folder that could not be written, or not be read."""
    refused = _refusal(folder)
    reasons = {
        errno.EROFS: "is read-only: make it writable",
        errno.EACCES: refused,
        errno.EPERM: refused,
        errno.ENOSPC: "is on a full disk: free some space",
        errno.EDQUOT: "is over its disk quota: free some space",
    }
    what = reasons.get(error.errno or 0, f"cannot be used ({error.strerror}: {error.filename})")
    return Fault(f"{folder} {what}, or choose another place with --data-root DIR", Exit.IO)


def _refusal(folder: Path) -> str:
    """Return what is said about a folder that is closed to us: the services' own has a way in, or a way to use it."""
    uid = os.geteuid()
    status = _nearest(folder)
    if status is not None and status.st_gid == _group_id():
        if status.st_gid not in (os.getegid(), *os.getgroups()):
            return f"is for the group {GROUP}, which user {uid} is not in: sudo usermod -aG {GROUP} $USER, log in anew"
        if status.st_uid == _user_id():
            return f"is written by the user {GROUP} only: put sudo -u {GROUP} before the command"
    return f"may not be written by user {uid}: change its owner or group"


def _nearest(folder: Path) -> os.stat_result | None:
    """Return what is known of a folder, or of the nearest above it that we may look at."""
    for path in (folder, *folder.parents):
        try:
            return path.stat()
        except OSError:
            continue
    return None


class FileLock:
    """An exclusive lock on a file that says who holds it: ``{"pid":123,"what":"muxd"}``.

    The kernel drops it when its process ends, however it ends, so a lock is never stale. The file stays:
    removing it would let two processes hold locks on two files of one name.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        self._fd: int | None = None

    def acquire(self, wait_s: float = _PATIENCE_S) -> None:
        """Take the lock, waiting at most ``wait_s`` seconds.

        Raises Fault (IO) that names the file and its holder, or why the file cannot be opened.
        """
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise storage_fault(error, self.path.parent) from error
        if not _flock_within(fd, wait_s):
            os.close(fd)
            raise Fault(f"{self.path} is held by {_describe(self.path)}: stop it first", Exit.IO)
        self._fd = fd
        self._sign(fd)

    def _sign(self, fd: int) -> None:
        try:
            share(fd)
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "what": self.what}).encode(), 0)
        except OSError:
            pass  # on a full disk the lock holds all the same, only nameless

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def holder(self) -> int | None:
        """The pid of whoever holds the lock now (0 if it did not say), None if nobody does."""
        if self._fd is not None:
            return os.getpid()
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _signature(self.path)[0]
        finally:
            os.close(fd)
        return None

    def __enter__(self) -> FileLock:
        """Take the lock."""
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        self.release()


def _flock_within(fd: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def _signature(path: Path) -> tuple[int, str]:
    try:
        said = json.loads(path.read_bytes())
        return int(said["pid"]), str(said["what"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0, ""


def _describe(path: Path) -> str:
    pid, what = _signature(path)
    return f"{what} (pid {pid})" if pid else "another process"
