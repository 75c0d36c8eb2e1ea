"""What retention takes next, by the ages of the sessions and ``[retention]``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchlab import clock
from benchlab.config_schema import Retention
from benchlab.session import Session, list_sessions

DAY_NS = 86_400_000_000_000


class Due(msgspec.Struct):
    """A part of a session, ``raw`` or ``all``, and in how many days it goes; negative: it is overdue."""

    session: str
    part: str
    in_days: float


def next_due(data_root: Path, rules: Retention, current: str | None) -> Due | None:
    """Return what goes first, None if nothing will; pinned sessions and the current one stay. Raises Fault."""
    found = (due for session in list_sessions(data_root) for due in _dues(session, rules, current))
    return min(found, key=lambda due: due.in_days, default=None)


def _dues(session: Session, rules: Retention, current: str | None) -> Iterable[Due]:
    if session.name == current or session.info.pinned or session.problem:
        return
    age_days = (clock.wall_ns() - session.born_ns) / DAY_NS
    yield Due(session.name, "all", rules.days - age_days)
    if any((session.dir / "raw").glob("*")):
        yield Due(session.name, "raw", rules.raw_keep_days - age_days)
