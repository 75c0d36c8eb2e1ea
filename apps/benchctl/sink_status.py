"""How far the sinks are behind what muxd vouches for, by the cursors that they keep."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from benchctl.mux_state import MuxState
from benchlab.session import Session

STORE = "telemetry.db"


class Cursor(msgspec.Struct):
    """Where a sink stands in one stream, as far as status wants to know."""

    generation: int
    offset: int


class SinkStatus(msgspec.Struct):
    """One sink: how many bytes of each stream it has not stored yet; ``problem`` says why that is not known.

    A stream is None where the sink still has rows of an earlier generation: it begins anew. No streams: it has stored
    nothing yet.
    """

    sink: str
    behind_bytes: dict[str, int | None] = {}
    problem: str | None = None


def sink_statuses(session: Session, checkpoint: MuxState, wanted: Collection[str]) -> list[SinkStatus]:
    """Return the sinks that have stored something of a session, and those that are wanted and have not."""
    found = {status.sink: status for status in _storing(session, checkpoint)}
    return [found.get(name) or SinkStatus(name) for name in sorted({*found, *wanted})]


def _storing(session: Session, checkpoint: MuxState) -> Iterator[SinkStatus]:
    for path in sorted((session.dir / "state" / "sinks").glob("*.json")):
        try:
            cursors = msgspec.json.decode(path.read_bytes(), type=dict[str, Cursor])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            yield SinkStatus(path.stem, problem=f"{path} cannot be read: {error}")
        else:
            yield SinkStatus(path.stem, _behind(cursors, checkpoint))
    if (store := session.dir / "store" / STORE).exists():
        yield _sqlite(store, session.info.id, checkpoint)


def _sqlite(store: Path, session: str, checkpoint: MuxState) -> SinkStatus:
    """Return the status of the SQLite sink, whose cursors are in its database."""
    import sqlite3

    from benchctl.query import opened

    # Read as if it were written, a store that nobody has open would get files beside it that nobody removes.
    is_written = store.with_name(f"{store.name}-wal").exists()
    try:
        with closing(opened(store, "mode=ro" if is_written else "immutable=1")) as connection:
            rows = connection.execute("SELECT stream, generation, offset FROM cursor WHERE session = ?", [session])
            cursors = {stream: Cursor(generation, offset) for stream, generation, offset in rows}
    except sqlite3.Error as error:
        return SinkStatus("sqlite", problem=f"{store} cannot be read: {error}")
    return SinkStatus("sqlite", _behind(cursors, checkpoint))


def _behind(cursors: dict[str, Cursor], checkpoint: MuxState) -> dict[str, int | None]:
    return {
        stream: max(0, _vouched(stream, checkpoint) - cursor.offset)
        if cursor.generation == checkpoint.generation
        else None
        for stream, cursor in sorted(cursors.items())
    }


def _vouched(stream: str, checkpoint: MuxState) -> int:
    """Return how many bytes of a stream sinks may read by now."""
    folder, _, name = stream.partition("/")
    if folder == "raw":
        return checkpoint.streams[name].offset if name in checkpoint.streams else 0
    return checkpoint.outputs.get(name, 0)
