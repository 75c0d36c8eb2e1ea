"""Finding sessions: by name, by the ``current`` link, all of them."""

from __future__ import annotations

import re
from pathlib import Path

from benchlab.errors import Exit, Fault
from benchlab.files import storage_fault
from benchlab.session_file import SessionInfo, read_info
from benchlab.session_folder import Session

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
CURRENT = "current"
TRASH = re.compile(r"\.(.+)\.deleting")
"""How a folder in ``sessions/`` is called while it is being deleted; it is no session any more."""

_RESERVED = (".", "..", CURRENT)


def sessions_root(data_root: Path) -> Path:
    """Return the folder that holds the sessions."""
    return data_root / "sessions"


def can_be_name(name: str) -> bool:
    """Return whether a session may bear this name."""
    return NAME.fullmatch(name) is not None and TRASH.fullmatch(name) is None and name not in _RESERVED


def check_name(name: str) -> None:
    """Raise Fault (USAGE) for what cannot be the name of a session."""
    if not can_be_name(name):
        raise Fault(
            f"session name {name[:80]!r}: expected 1 to 64 letters, digits, dots, dashes or underscores; "
            "a name is not a path",
            Exit.USAGE,
        )


def find(data_root: Path, name: str, root: Path) -> Session | None:
    """Return a session that exists, None if it does not.

    Raises Fault (IO) if its description makes no sense, OSError if its folder cannot be looked into.
    """
    folder = current_folder(data_root) if name == CURRENT else sessions_root(data_root) / name
    if folder is None:
        return None
    try:
        return Session(folder, read_info(folder), root=root)
    except (FileNotFoundError, NotADirectoryError):
        return _bare(folder)


def missing(data_root: Path, name: str) -> Fault:
    """Return the Fault (IO) about a session that is not there; it lists those that are."""
    names = [session.name for session in list_sessions(data_root)]
    those = f"there are {', '.join(names[-10:])}" if names else "there are none yet"
    return Fault(f"no session {name} in {sessions_root(data_root)}, {those}: see --session and --data-root", Exit.IO)


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


def current_folder(data_root: Path) -> Path | None:
    """Return where the link ``current`` points, None if there is none or it leads nowhere."""
    link = sessions_root(data_root) / CURRENT
    if not link.is_symlink():
        if link.exists():
            raise Fault(f"{link} is no link, expected a link to a session: rename it", Exit.IO)
        return None
    target = str(link.readlink())
    if not can_be_name(target):
        raise Fault(f"{link} points to {target}, expected the name of a session beside it: remove it", Exit.IO)
    return link.with_name(target)


def rotations(here: Session, there: Session) -> list[Session]:
    """Return the sessions that one went through from ``here`` to ``there``, oldest first: ``there`` is the last.

    It is the only one if ``there`` was not rotated from ``here``.
    """
    way = [there]
    while (before := way[0].info.continues) not in (None, here.name):
        folder = there.dir.with_name(str(before))
        found = _listed(folder) if can_be_name(folder.name) else None
        if found is None or folder in [session.dir for session in way]:
            return [there]
        way.insert(0, found)
    return way if way[0].info.continues == here.name else [there]


def _bare(folder: Path) -> Session | None:
    if not (folder / "raw").is_dir():
        return None
    return Session(folder, SessionInfo(id=folder.name, closed=True), bare=True)


def _is_session_folder(path: Path) -> bool:
    return can_be_name(path.name) and not path.is_symlink() and path.is_dir()


def _listed(folder: Path) -> Session | None:
    try:
        return Session(folder, read_info(folder))
    except FileNotFoundError:
        return _bare(folder)
    except Fault as fault:
        return Session(folder, SessionInfo(id=folder.name), problem=fault.message)
