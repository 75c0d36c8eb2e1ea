"""Sessions: one folder a recording, found by name or by the ``current`` link."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from benchlab import __version__, clock
from benchlab.errors import Exit, Fault
from benchlab.files import FileLock, fsync_dir, make_dir, storage_fault
from benchlab.session_file import (
    Anchor,
    SessionInfo,
    boot_id_or_none,
    host_facts,
    iso_utc,
    read_info,
    timestamp_name,
    write_info,
)
from benchlab.session_folder import HOST, Session, changing, is_other_boot, measured_anchor_ns

__all__ = [
    "NAME",
    "Anchor",
    "Session",
    "SessionInfo",
    "list_sessions",
    "new_session",
    "open_session",
    "sessions_root",
]

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
CURRENT = "current"

_RESERVED = (".", "..", CURRENT)
_ROTATION_NS = 2_000_000_000


def sessions_root(data_root: Path) -> Path:
    """Return the folder that holds the sessions."""
    return data_root / "sessions"


def open_session(
    data_root: Path,
    name: str = CURRENT,
    *,
    create: bool = True,
    node: str | None = None,
    config_digest: str | None = None,
    root: Path = HOST,
) -> Session:
    """Return a session by name; ``current`` follows the link.

    With ``create`` a missing one is made, and ``current`` moves to a new one where the old is closed,
    unreadable or of an earlier boot. ``root`` is where this host's /proc is found.
    Raises Fault: USAGE for a name that is none, IO for a missing session or a data root that cannot be used.
    """
    if name != CURRENT:
        _check_name(name)
    try:
        if not create:
            return _existing(data_root, name, root)
        found = _recordable(data_root, name, root)
        if found:
            return found
        make_dir(sessions_root(data_root))
    except OSError as error:
        raise storage_fault(error, data_root) from error
    with changing(data_root):  # whoever comes second finds what the first one made
        found = _recordable(data_root, name, root)
        if found:
            return found
        if name != CURRENT:
            return _create(data_root, name, _Origin(node, config_digest, root))
        made = _create(data_root, _free_timestamp(data_root), _Origin(node, config_digest, root))
        _point_current(data_root, made.name)
        return made


def new_session(
    data_root: Path,
    name: str | None = None,
    *,
    node: str | None = None,
    config_digest: str | None = None,
    root: Path = HOST,
) -> Session:
    """Make a session, named by the time unless told otherwise, and point ``current`` at it.

    If the session that was current is being recorded, this is a rotation: the new one starts in two seconds,
    so that every writer learns of it before it has an event to put there. Raises Fault like open_session.
    """
    if name is not None:
        _check_name(name)
    try:
        make_dir(sessions_root(data_root))
    except OSError as error:
        raise storage_fault(error, data_root) from error
    with changing(data_root):
        if name is not None and _find(data_root, name, root):
            raise Fault(f"session {name} exists already: choose another name", Exit.USAGE)
        previous = _recordable(data_root, CURRENT, root)
        origin = _Origin(node, config_digest, root, previous)
        made = _create(data_root, name or _free_timestamp(data_root), origin)
        _point_current(data_root, made.name)
        return made


def list_sessions(data_root: Path) -> list[Session]:
    """Return all sessions, oldest first; one that cannot be read is listed with its ``problem``."""
    try:
        folders = [p for p in sessions_root(data_root).iterdir() if _is_session_folder(p)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise storage_fault(error, data_root) from error
    found = filter(None, (_listed(folder) for folder in folders))
    return sorted(found, key=lambda session: (session.born_ns, session.name))


@dataclass(frozen=True)
class _Origin:
    """What a new session is made from."""

    node: str | None
    config_digest: str | None
    root: Path
    previous: Session | None = None


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or name in _RESERVED:
        raise Fault(
            f"session name {name[:80]!r}: expected 1 to 64 letters, digits, dots, dashes or underscores; "
            "a name is not a path",
            Exit.USAGE,
        )


def _existing(data_root: Path, name: str, root: Path) -> Session:
    found = _find(data_root, name, root)
    if found:
        return found
    names = [session.name for session in list_sessions(data_root)]
    those = f"there are {', '.join(names[-10:])}" if names else "there are none yet"
    raise Fault(f"no session {name} in {sessions_root(data_root)}, {those}: see --session and --data-root")


def _find(data_root: Path, name: str, root: Path) -> Session | None:
    """Return a session that exists. Raises Fault (IO) if its file makes no sense."""
    folder = _current_folder(data_root) if name == CURRENT else sessions_root(data_root) / name
    if folder is None:
        return None
    try:
        return Session(folder, read_info(folder), root=root)
    except (FileNotFoundError, NotADirectoryError):
        return _bare(folder)


def _bare(folder: Path) -> Session | None:
    if not (folder / "raw").is_dir():
        return None
    return Session(folder, SessionInfo(id=folder.name, closed=True), bare=True)


def _current_folder(data_root: Path) -> Path | None:
    """Return where the link ``current`` points, None if there is none or it leads nowhere."""
    link = sessions_root(data_root) / CURRENT
    if not link.is_symlink():
        if link.exists():
            raise Fault(f"{link} is no link, expected a link to a session: rename it", Exit.IO)
        return None
    target = str(link.readlink())
    if not NAME.fullmatch(target) or target in _RESERVED:
        raise Fault(
            f"{link} points to {target}, expected the name of a session beside it: remove it", Exit.IO
        )
    return link.with_name(target)


def _recordable(data_root: Path, name: str, root: Path) -> Session | None:
    """Return the session that ``name`` stands for unless a new one has to be made."""
    try:
        found = _find(data_root, name, root)
    except Fault:
        if name == CURRENT and _current_folder(data_root):
            return None  # a damaged description must not keep the collectors from recording
        raise
    if found is None or (found.is_bare and not any(found.raw.iterdir())):
        return None
    if name == CURRENT and (found.info.closed or is_other_boot(found.info, boot_id_or_none(root))):
        return None
    return found


def _create(data_root: Path, name: str, origin: _Origin) -> Session:
    """Make a session; the lock is held. A folder is left behind only with its description in it."""
    folder = sessions_root(data_root) / name
    is_ours = not folder.exists()
    make_dir(folder)
    try:
        info = _describe(name, origin)
        write_info(folder, info)
    except OSError:
        if is_ours:
            folder.rmdir()
        raise
    return Session(folder, info, root=origin.root)


def _describe(name: str, origin: _Origin) -> SessionInfo:
    anchor_ns = measured_anchor_ns()
    rotated = origin.previous if origin.previous and _is_recorded(origin.previous) else None
    before_ns = rotated.info.anchor_ns if rotated else None
    if before_ns is not None and abs(anchor_ns - before_ns) <= clock.STEP_NS:
        anchor_ns = before_ns  # one timeline through both, so that the cut is exact
    wall_ns = clock.wall_ns()
    return SessionInfo(
        id=name,
        node=origin.node or os.uname().nodename,
        created=iso_utc(wall_ns),
        starts_ns=clock.boottime_ns() + anchor_ns + (_ROTATION_NS if rotated else 0),
        boot_id=boot_id_or_none(origin.root),
        anchor_ns=anchor_ns,
        clock_synchronised=clock.is_synchronised(),
        host=host_facts(origin.root),
        version=__version__,
        config_digest=origin.config_digest,
        continues=rotated.name if rotated else None,
    )


def _is_recorded(session: Session) -> bool:
    """Return whether some process holds a lock of this session at this moment."""
    locks = session.state.glob("*.lock")
    return any(FileLock(path, "").holder is not None for path in locks)


def _free_timestamp(data_root: Path) -> str:
    stem = timestamp_name(clock.wall_ns())
    names = chain([stem], (f"{stem}-{n}" for n in count(2)))
    return next(name for name in names if not (sessions_root(data_root) / name).exists())


def _point_current(data_root: Path, name: str) -> None:
    """Swap the link in one step, so that no reader finds it missing; the lock is held."""
    link = sessions_root(data_root) / CURRENT
    fresh = link.with_name(".current.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(link)
    fsync_dir(link.parent)


def _is_session_folder(path: Path) -> bool:
    return NAME.fullmatch(path.name) is not None and not path.is_symlink() and path.is_dir()


def _listed(folder: Path) -> Session | None:
    try:
        return Session(folder, read_info(folder))
    except FileNotFoundError:
        return _bare(folder)
    except Fault as fault:
        return Session(folder, SessionInfo(id=folder.name), problem=fault.message)
