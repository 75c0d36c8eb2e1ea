"""Whether the sinks have taken what they read of a session: their cursors against muxd's word."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchlab.config_schema import Sinks
from benchlab.session import Session
from retentiond.consumed import Checkpoint, checkpoint_of

# What every sink reads of a session, beside the streams it has a cursor in.
READ = ("aligned/latency.jsonl", "aligned/signals.jsonl", "raw/bookmarks.jsonl", "raw/pimon.jsonl", "raw/vmstat.jsonl")

# These keep their rows in the session itself: when all of it goes, what they lack of it would go as well.
WITHIN = ("sqlite", "parquet")


class Cursor(msgspec.Struct):
    """A sink has all rows of one stream before ``offset``, of aligned files of this generation."""

    generation: int
    offset: int


Cursors = dict[str, Cursor]


def unconsumed_by_sinks(session: Session, sinks: Sinks, *, stays: bool) -> list[str]:
    """Return what the sinks that are switched on have not taken of a session, a line each.

    ``stays``: only the raw data is to go; a sink that lacks anything needs muxd on this session, and muxd needs
    the raw data. Raises OSError if that cannot be told.
    """
    enabled = [name for name in sinks.__struct_fields__ if getattr(sinks, name) is True]
    wanted = [name for name in enabled if stays or name not in WITHIN]
    found = checkpoint_of(session)
    if found is None:
        return []  # no sink reads what muxd did not vouch for
    return [told for name in wanted if (told := _missing(session, name, found))]


def _missing(session: Session, sink: str, found: Checkpoint) -> str | None:
    """Return what a sink has not taken, None if it has all."""
    advice = f"muxd --session {session.name} --once"
    try:
        cursors = _cursors(session, sink)
    except (ValueError, msgspec.MsgspecError) as error:
        return f"how far sink {sink} is cannot be told ({error}): {advice}"
    for stream in READ:
        length = _length(found, stream)
        cursor = cursors.get(stream, Cursor(found.generation, 0))
        taken = cursor.offset if cursor.generation == found.generation else 0
        if taken < length:
            return f"sink {sink} has taken {taken} of the {length} bytes of {stream}: {advice}"
    return None


def _length(found: Checkpoint, stream: str) -> int:
    folder, _, name = stream.partition("/")
    if folder == "raw":
        return found.streams[name].offset if name in found.streams else 0
    return found.outputs.get(name, 0)


def _cursors(session: Session, sink: str) -> Cursors:
    """Return a sink's cursors, none if it never began. Raises OSError, ValueError, MsgspecError."""
    if sink == "sqlite":
        return _in_database(session.dir / "store" / "telemetry.db", session.info.id)
    try:
        return msgspec.json.decode((session.dir / "state" / "sinks" / f"{sink}.json").read_bytes(), type=Cursors)
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _in_database(path: Path, session: str) -> Cursors:
    """Return the cursors in a store; nothing is written, unless SQLite has a crash to recover from."""
    import sqlite3

    if not path.is_file():
        return {}
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    query = "SELECT stream, generation, offset FROM cursor WHERE session = ?"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
        try:
            return {stream: Cursor(*rest) for stream, *rest in connection.execute(query, (session,))}
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ValueError(f"{path.name}: {error}") from error
