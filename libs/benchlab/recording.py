"""What every collector does once it knows its sources: show one sample of each, or go on until stopped."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchlab import __version__, clock
from benchlab.cli import Context
from benchlab.clock import SessionClock
from benchlab.daemon import Daemon, Source, once
from benchlab.daemon.following import FollowingLog
from benchlab.errors import Exit, Fault
from benchlab.event import Value
from benchlab.session import CURRENT, NAME, Session, open_session

MakeSources = Callable[[SessionClock, int], Sequence[Source]]
"""Builds the sources from the timeline and the time in ns at which the session starts on it."""


@dataclass(frozen=True)
class Collector:
    """What sets a collector apart: its name, the stream it writes by default, and its habits.

    ``disorder_ms`` is how far behind the newest line of its file one of its lines may lie; ``once_rate_s``
    how far apart the two samples of ``--once`` are, ``deadline_s`` how long one sample may take.
    """

    name: str
    stream: str
    disorder_ms: int
    once_rate_s: float = 0.5
    deadline_s: float = 2.0


def collect(
    collector: Collector,
    args: argparse.Namespace,
    ctx: Context,
    period_s: float,
    make_sources: MakeSources,
    *,
    records: bool = True,
    stop: threading.Event | None = None,
    goes_on: Callable[[], bool] = lambda: False,
) -> int:
    """Run a collector as its command line says and return the exit code. Raises Fault.

    Unless it ``records``, it samples for what else looks at its sources, and makes no session. ``stop`` ends it as a
    signal does; ``goes_on`` is the daemon's.
    """
    now = SessionClock(clock.wall_ns() - clock.boottime_ns())
    # built even if they are not used: a wrong --source is refused before a session is made
    sources = select(make_sources(now, now.now_ns()), args.source)
    if args.once:
        rate_s = collector.once_rate_s
        return once(sources, now, args.json, sys.stdout, rate_s=rate_s, deadline_s=rate_s + 5.0)
    if records:
        daemon = _recorder(collector, args, ctx, period_s, make_sources, stop, goes_on)
    else:
        deadline_s = collector.deadline_s
        daemon = Daemon(
            collector.name, sources, _Unrecorded(), now, period_s, deadline_s=deadline_s, stop=stop, goes_on=goes_on
        )
    return daemon.run()


def select(sources: Sequence[Source], names: Sequence[str] | None) -> Sequence[Source]:
    """Return the sources of these names, or all; raises Fault (USAGE) for a name that is none of them."""
    if not names:
        return sources
    there = {source.name for source in sources}
    for name in names:
        if name not in there:
            raise Fault(f"--source: found {name}, expected one of {', '.join(sorted(there))}", Exit.USAGE)
    return [source for source in sources if source.name in names]


def _recorder(
    collector: Collector,
    args: argparse.Namespace,
    ctx: Context,
    period_s: float,
    make_sources: MakeSources,
    stop: threading.Event | None,
    goes_on: Callable[[], bool],
) -> Daemon:
    stream = args.stream or collector.stream
    if not NAME.fullmatch(stream):
        raise Fault(f"--stream: found {stream!r}, expected letters, digits, '.', '_' or '-'", Exit.USAGE)
    general = ctx.config.general

    def current() -> Session:
        return open_session(
            ctx.data_root,
            ctx.session_name,
            rotate=general.session_rotate,
            node=general.node_name,
            config_digest=ctx.loaded.digest,
        )

    session = current()
    follow = current if ctx.session_name == CURRENT else None
    timeline = session.clock()
    sources = select(make_sources(timeline, session.info.starts_ns or 0), args.source)
    log = FollowingLog(session, stream, fsync_s=general.fsync_s, follow=follow, rotate=general.session_rotate)
    start_fields: dict[str, Value] = {
        "version": __version__,
        "boot_id": clock.boot_id(),
        "disorder_ms": collector.disorder_ms,
        "config_digest": ctx.loaded.digest,
    }
    return Daemon(
        collector.name,
        sources,
        log,
        log.clock,
        period_s,
        start_fields=start_fields,
        deadline_s=collector.deadline_s,
        stop=stop,
        goes_on=goes_on,
    )


class _Unrecorded:
    """Stands for the log where nothing is recorded."""

    def start(self, fields: object) -> None:
        """Write nothing."""

    def write(self, events: object) -> None:
        """Write nothing."""

    def tick(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""
