"""Making sessions; whoever calls this holds the lock of the data root's sessions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from benchlab import __version__, clock
from benchlab.files import FileLock, fsync_dir, make_dir
from benchlab.host.identity import host_facts
from benchlab.session_file import SessionInfo, boot_id_or_none, iso_utc, timestamp_name, write_info
from benchlab.session_find import CURRENT, sessions_root
from benchlab.session_folder import Session, measured_anchor_ns

_ROTATION_NS = 2_000_000_000


@dataclass(frozen=True)
class Recipe:
    """What a session's description takes from its maker; ``root`` is where the host's /proc is found."""

    node: str | None
    config_digest: str | None
    root: Path


def make_session(data_root: Path, name: str, recipe: Recipe, previous: Session | None = None) -> Session:
    """Make a session; a folder is left behind only with its description in it. Raises OSError.

    If ``previous`` is being recorded, the new one continues it.
    """
    folder = sessions_root(data_root) / name
    is_ours = not folder.exists()
    make_dir(folder)
    try:
        info = _describe(name, recipe, previous if previous and _is_recorded(previous) else None)
        write_info(folder, info)
    except OSError:
        if is_ours:
            folder.rmdir()
        raise
    return Session(folder, info, root=recipe.root)


def make_current(data_root: Path, name: str | None, recipe: Recipe, previous: Session | None) -> Session:
    """Make a session, named by the time unless told otherwise, and point ``current`` at it. Raises OSError."""
    made = make_session(data_root, name or _free_timestamp(data_root), recipe, previous)
    _point_current(data_root, made.name)
    return made


def _describe(name: str, recipe: Recipe, continued: Session | None) -> SessionInfo:
    anchor_ns = measured_anchor_ns()
    boottime_ns = clock.boottime_ns()
    before_ns = continued.info.anchor_ns if continued else None
    if before_ns is not None and abs(anchor_ns - before_ns) <= clock.STEP_NS:
        anchor_ns = before_ns  # one timeline through both, so that the cut is exact
    return SessionInfo(
        id=name,
        node=recipe.node or os.uname().nodename,
        created=iso_utc(clock.wall_ns()),
        starts_ns=boottime_ns + anchor_ns + (_ROTATION_NS + _until(continued, boottime_ns) if continued else 0),
        boot_id=boot_id_or_none(recipe.root),
        anchor_ns=anchor_ns,
        clock_synchronised=clock.is_synchronised(),
        host=host_facts(recipe.root),
        version=__version__,
        config_digest=recipe.config_digest,
        continues=continued.name if continued else None,
    )


def _is_recorded(session: Session) -> bool:
    """Return whether some process holds a lock of this session at this moment, or it is still to begin."""
    if _until(session, clock.boottime_ns()):
        return True
    locks = session.state.glob("*.lock")
    return any(FileLock(path, "").holder is not None for path in locks)


def _until(session: Session, boottime_ns: int) -> int:
    """Return how long it is until a session begins, 0 once it has begun."""
    starts_ns, anchor_ns = session.info.starts_ns, session.info.anchor_ns
    return 0 if starts_ns is None or anchor_ns is None else max(0, starts_ns - anchor_ns - boottime_ns)


def _free_timestamp(data_root: Path) -> str:
    stem = timestamp_name(clock.wall_ns())
    names = chain([stem], (f"{stem}-{n}" for n in count(2)))
    return next(name for name in names if not (sessions_root(data_root) / name).exists())


def _point_current(data_root: Path, name: str) -> None:
    """Swap the link in one step, so that no reader finds it missing."""
    link = sessions_root(data_root) / CURRENT
    fresh = link.with_name(".current.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(link)
    fsync_dir(link.parent)
