"""Sessions: one folder a recording, made by whoever comes first and shared by all.

``open_session`` follows or makes, ``new_session`` always makes; both may rotate, which is to go on in a new session
while the old one is still being recorded.
"""

from __future__ import annotations

from pathlib import Path

from benchlab.clock import boottime_ns
from benchlab.errors import Exit, Fault
from benchlab.session_file import Anchor, SessionInfo, boot_id_or_none
from benchlab.session_find import (
    CURRENT,
    NAME,
    check_name,
    current_folder,
    find,
    list_sessions,
    missing,
    rotations,
    sessions_root,
)
from benchlab.session_folder import HOST, Session, changing, is_other_boot, using
from benchlab.session_make import Recipe, make_current, make_session

__all__ = [
    "CURRENT",
    "DAILY",
    "NAME",
    "Anchor",
    "Session",
    "SessionInfo",
    "is_day_over",
    "list_sessions",
    "new_session",
    "open_session",
    "rotations",
    "sessions_root",
]

DAILY = "daily"
"""What ``[general].session_rotate`` says where every day has its session."""

_DAY_NS = 86_400_000_000_000


def open_session(
    data_root: Path,
    name: str = CURRENT,
    *,
    create: bool = True,
    rotate: str = "never",
    node: str | None = None,
    config_digest: str | None = None,
    root: Path = HOST,
) -> Session:
    """Return a session by name; ``current`` follows the link.

    With ``create`` a missing one is made, and ``current`` moves to a new one where the old is closed,
    unreadable, of an earlier boot or, with ``rotate="daily"``, of an earlier day (UTC).
    ``root`` is where this host's /proc is found: not what a collector measures instead of the host.
    Raises Fault: USAGE for a name that is none, IO for a missing session or a data root that cannot be used.
    """
    if name != CURRENT:
        check_name(name)
    with using(data_root):
        found = _recordable(data_root, name, root) if create else find(data_root, name, root)
    if found and not (create and _is_over(found, name, rotate)):
        return found
    if not create:
        raise missing(data_root, name)
    with changing(data_root):
        found = _recordable(data_root, name, root)  # whoever comes second finds what the first one made
        if found and not _is_over(found, name, rotate):
            return found
        recipe = Recipe(node, config_digest, root)
        if name == CURRENT:
            return make_current(data_root, None, recipe, found)
        return make_session(data_root, name, recipe)


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
        check_name(name)
    with changing(data_root):
        if name is not None and find(data_root, name, root):
            raise Fault(f"session {name} exists already: choose another name", Exit.USAGE)
        previous = _recordable(data_root, CURRENT, root)
        return make_current(data_root, name, Recipe(node, config_digest, root), previous)


def _recordable(data_root: Path, name: str, root: Path) -> Session | None:
    """Return the session that ``name`` stands for unless a new one has to be made. Raises OSError and Fault."""
    try:
        found = find(data_root, name, root)
    except Fault:
        if name == CURRENT and current_folder(data_root):
            return None  # a damaged description must not keep the collectors from recording
        raise
    if found is None or (found.is_bare and not any(found.raw.iterdir())):
        return None
    if name == CURRENT and (found.info.closed or is_other_boot(found.info, boot_id_or_none(root))):
        return None
    return found


def _is_over(session: Session, name: str, rotate: str) -> bool:
    """Return whether the day of the session is over, and that matters."""
    anchor_ns = session.info.anchor_ns
    if rotate != DAILY or name != CURRENT or anchor_ns is None:
        return False
    return is_day_over(session.info, boottime_ns() + anchor_ns)


def is_day_over(info: SessionInfo, now_ns: int) -> bool:
    """Return whether a session began on an earlier day (UTC) of its timeline than the one ``now_ns`` is in."""
    return info.starts_ns is not None and now_ns // _DAY_NS > info.starts_ns // _DAY_NS
