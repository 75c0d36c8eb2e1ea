"""Deleting a folder so that a kill, or a power loss, leaves it whole or gone, never half.

It first takes the name ``sessions/.<name>.deleting``, durably; then its content goes. Links are removed, never
followed, and nothing that another file system is mounted in is touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

from benchlab.files import fsync_dir, make_dir
from benchlab.session_find import TRASH

# Cannot be part of a session's name, so the trash of a session's part is not taken for that of a session.
PART = "+"
RAW = "raw"

_BLOCK_BYTES = 512
_MOUNTS = Path("/proc/self/mountinfo")

Remove = Callable[[Path], None]


def set_aside(path: Path, sessions: Path, name: str) -> Path:
    """Rename a folder to its trash name in ``sessions`` and return that. Raises OSError, also for a mount."""
    mount = mount_in(path)
    if mount is not None:
        raise OSError(f"another file system is mounted at {mount}")
    names = chain([name], (f"{name}{PART}{n}" for n in count(2)))
    trash = next(t for n in names if not os.path.lexists(t := sessions / f".{n}.deleting"))
    path.rename(trash)
    for folder in {path.parent, sessions}:
        fsync_dir(folder)
    return trash


def set_raw_aside(session: Path) -> list[Path]:
    """Take raw/ and quarantine/ out of a session, and return their trash. Raises OSError.

    An empty raw/ stays: it is what makes a bare folder a session.
    """
    times = session.stat()
    trash = []
    for part in trimmable(session):
        trash.append(set_aside(part, session.parent, f"{session.name}{PART}{part.name}"))
        if part.name == RAW:
            make_dir(part)
    os.utime(session, ns=(times.st_atime_ns, times.st_mtime_ns))  # it may be all that tells the session's age
    return trash


def trimmable(session: Path) -> list[Path]:
    """Return those of a session's folders of raw data that hold anything; a link is none. Raises OSError."""
    parts = (session / RAW, session / "quarantine")
    return [part for part in parts if part.is_dir() and not part.is_symlink() and any(part.iterdir())]


def leftovers(sessions: Path) -> list[Path]:
    """Return what an earlier run did not live to delete. Raises OSError."""
    return sorted(p for p in sessions.iterdir() if TRASH.fullmatch(p.name) and p.is_dir() and not p.is_symlink())


def mend(leftover: Path) -> None:
    """Give a session back the empty raw/ that it should have kept. Raises OSError."""
    match = TRASH.fullmatch(leftover.name)
    name, _, part = (match[1] if match else "").partition(PART)
    session = leftover.with_name(name)
    if part.startswith(RAW) and session.is_dir() and not os.path.lexists(session / RAW):
        make_dir(session / RAW)


def space_of(path: Path) -> int:
    """Return the bytes of disk that go with a folder: not those of files that have another name elsewhere."""
    found = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(Path(folder, name))
            except OSError:
                continue
            found += status.st_blocks * _BLOCK_BYTES if status.st_nlink == 1 else 0
    return found


def remove(trash: Path) -> None:
    """Delete a folder with all that is in it; a link is deleted, not what it leads to. Raises OSError."""
    shutil.rmtree(trash)


def mount_in(path: Path, mounts: Path = _MOUNTS) -> Path | None:
    """Return where in a folder something is mounted, None if nowhere. Source: proc_pid_mountinfo(5)."""
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return None
    folder = path.resolve()
    for line in lines:
        point = Path(os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1")))
        if point == folder or folder in point.parents:
            return point
    return None
