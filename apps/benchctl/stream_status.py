"""How one raw stream fares at this moment, from the two ends of its file and its writer's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchctl.file_end import last_rows, meta_lines, size_of
from benchlab.event import META, Event
from benchlab.files import FileLock

TAIL_BYTES = 256 * 1024
LONG_TAIL_BYTES = 2 * 1024 * 1024  # twice the longest line there may be
STORY_BYTES = 8 * 1024 * 1024
HEAD_BYTES = 64 * 1024
RATE_NS = 5_000_000_000
NS = 1_000_000_000
SELF = "self."  # what a daemon says of its own load comes from no device


class SourceStatus(msgspec.Struct):
    """One source, as its stream tells it; one of its devices, where the stream's story speaks of that device alone.

    ``state``: ``up``, ``down`` (with its reason), or ``quiet``: it should be there, and the part of the file
    that was read has nothing of it. ``last_ns`` is its last event, or when it went down.
    """

    source: str
    dev: str | None = None
    state: str = "quiet"
    last_ns: int | None = None
    reason: str | None = None
    fix: str | None = None
    simulated: bool = False


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


Address = tuple[str, str | None]


def _sources(path: Path, size: int, rows: Sequence[Event]) -> list[SourceStatus]:
    """Return the sources as the file's two ends tell them; what lies between is too long to be read."""
    found: dict[Address, SourceStatus] = {}
    story_start = max(0, size - STORY_BYTES)
    _follow(found, meta_lines(path, 0, min(HEAD_BYTES, story_start)))
    _follow(found, meta_lines(path, story_start, size - story_start))
    for row in _since_start(rows):
        if row.source == META or row.source.startswith(SELF):
            continue
        address = (row.source, row.dev if (row.source, row.dev) in found else None)
        known = found.get(address)
        if known is None or known.last_ns is None or row.ts_ns >= known.last_ns:
            found[address] = SourceStatus(*address, "up", row.ts_ns, simulated=row.sim)
    return sorted(_without_scouts(found), key=lambda source: (source.source, source.dev or ""))


def _without_scouts(found: Mapping[Address, SourceStatus]) -> list[SourceStatus]:
    """Return the sources without those that only look for devices, once they have found some."""
    have_devices = {source for source, dev in found if dev is not None}
    return [one for one in found.values() if one.dev or one.state != "quiet" or one.source not in have_devices]


def _since_start(rows: Sequence[Event]) -> Sequence[Event]:
    """Return the rows of the writer that wrote last: an earlier one's sources may be gone."""
    starts = [i for i, row in enumerate(rows) if row.source == META and row.kv.get("event") == "start"]
    return rows[starts[-1] :] if starts else rows


def _follow(found: dict[Address, SourceStatus], story: Iterable[Event]) -> None:
    """Bring what is known of the sources up to date with the next lines of their stream's story."""
    for event in story:
        told, which = event.kv.get("event"), event.kv.get("which")
        if told == "start":
            found.clear()
            found.update({address: SourceStatus(*address) for address in _listed(event)})
        elif told == "source_down" and isinstance(which, str):
            reason, fix = _text(event, "reason"), _text(event, "fix")
            found[which, event.dev] = SourceStatus(which, event.dev, "down", event.ts_ns, reason, fix)
        elif told == "source_up" and isinstance(which, str):
            found[which, event.dev] = SourceStatus(which, event.dev, "up", event.ts_ns)


def _listed(start: Event) -> list[Address]:
    """Return the sources that a ``start`` line lists."""
    listed = start.kv.get("sources")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return [(row["source"], _dev(row)) for row in rows if isinstance(row.get("source"), str)]


def _dev(row: Mapping[str, object]) -> str | None:
    dev = row.get("dev")
    return dev if isinstance(dev, str) else None


def _text(event: Event, key: str) -> str | None:
    value = event.kv.get(key)
    return value if isinstance(value, str) else None
