"""How one raw stream fares at this moment, from the two ends of its file and its writer's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchlab.event import META, Event
from benchlab.files import FileLock
from benchlab.log.file_end import last_rows, size_of
from benchlab.stream_story import SourceStatus, note_reading, since_start, story_of, without_scouts

TAIL_BYTES = 256 * 1024
LONG_TAIL_BYTES = 2 * 1024 * 1024  # twice the longest line there may be
RATE_NS = 5_000_000_000
NS = 1_000_000_000


class StreamStatus(msgspec.Struct):
    """One raw stream; what is not known is None.

    ``state``: ``recording`` (its writer holds the lock), ``stopped`` (it ended well), ``dead`` (it ended
    without saying so), or ``unlocked``: written by a program that takes no lock.
    ``rate_hz`` is over the last ``rate_window_s`` seconds up to now; ``unread_bytes`` were not yet taken by muxd.
    """

    stream: str
    state: str
    writer_pid: int | None
    bytes: int
    unread_bytes: int | None
    last_ns: int | None
    last_age_s: float | None
    rate_hz: float | None
    rate_window_s: float | None
    simulated: bool
    sources: list[SourceStatus]


def stream_status(path: Path, lock_path: Path, present: Callable[[], int], taken: int | None) -> StreamStatus:
    """Return the status of a raw file; ``present`` is its timeline, ``taken`` how far muxd has read it.

    Raises Fault (IO), OSError.
    """
    holder = FileLock(lock_path, "").holder
    size = size_of(path)
    rows = last_rows(path, Event, TAIL_BYTES) or last_rows(path, Event, LONG_TAIL_BYTES)
    now_ns = present()
    last_ns = max((row.ts_ns for row in rows), default=None)
    rate_hz, window_s = _rate(rows, now_ns)
    return StreamStatus(
        stream=path.stem,
        state=_state(holder, lock_path, rows),
        writer_pid=holder or None,
        bytes=size,
        unread_bytes=None if taken is None else max(0, size - taken),
        last_ns=last_ns,
        last_age_s=None if last_ns is None else (now_ns - last_ns) / NS,
        rate_hz=rate_hz,
        rate_window_s=window_s,
        simulated=any(row.sim for row in rows),
        sources=_sources(path, size, rows),
    )


def _state(holder: int | None, lock_path: Path, rows: Sequence[Event]) -> str:
    if holder is not None:
        return "recording"
    if rows and rows[-1].source == META and rows[-1].kv.get("event") == "stop":
        return "stopped"
    return "dead" if lock_path.exists() else "unlocked"


def _rate(rows: Sequence[Event], now_ns: int) -> tuple[float | None, float | None]:
    """Return events a second over the last seconds, or over what the rows cover of them."""
    if not rows:
        return None, None
    from_ns = max(now_ns - RATE_NS, min(row.ts_ns for row in rows))
    window_s = (now_ns - from_ns) / NS
    if window_s <= 0:
        return None, None
    count = sum(from_ns < row.ts_ns <= now_ns and row.source != META for row in rows)
    return round(count / window_s, 1), round(window_s, 3)


def _sources(path: Path, size: int, rows: Sequence[Event]) -> list[SourceStatus]:
    """Return the sources as the file's two ends tell them; what lies between is too long to be read."""
    found = story_of(path, size)
    for row in since_start(rows):
        note_reading(found, row)
    return sorted(without_scouts(found), key=lambda source: (source.source, source.dev or ""))
