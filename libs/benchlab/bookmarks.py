"""Bookmarks: remarks on a moment, in a stream of their own that whoever has one writes for an instant."""

from __future__ import annotations

from collections.abc import Sequence

from benchlab import __version__
from benchlab.errors import Exit, Fault
from benchlab.event import Event
from benchlab.log.writer import LogWriter
from benchlab.session import Session

STREAM = "bookmarks"
# Several writers at once take turns within a few milliseconds; further behind the newest no line lies.
DISORDER_MS = 200


def write_bookmarks(session: Session, bookmarks: Sequence[Event]) -> None:
    """Append bookmarks to ``raw/bookmarks.jsonl`` of a session. Raises Fault (IO) if they cannot be written now."""
    lock = session.state / f"{STREAM}.lock"
    writer = LogWriter(session.raw / f"{STREAM}.jsonl", lock, clock=session.clock().now_ns)
    try:
        writer.start({"version": __version__, "disorder_ms": DISORDER_MS})
        writer.write(bookmarks)
    finally:
        writer.stop()
    if writer.stats.lost:
        raise Fault(f"{writer.path} could not be written: is the disk full?", Exit.IO)
