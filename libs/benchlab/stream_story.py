"""What a raw stream tells of its own sources: which there are, which are up, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchlab.event import META, Event
from benchlab.log.file_end import meta_lines

STORY_BYTES = 8 * 1024 * 1024
HEAD_BYTES = 64 * 1024
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


Address = tuple[str, str | None]
Story = dict[Address, SourceStatus]


def story_of(path: Path, size: int) -> Story:
    """Return the sources as the two ends of a file tell them; what lies between is too long to be read."""
    found: Story = {}
    for line in story_lines(path, size):
        follow(found, line)
    return found


def story_lines(path: Path, size: int) -> Iterator[Event]:
    """Yield what the two ends of a file tell of its sources."""
    story_start = max(0, size - STORY_BYTES)
    yield from meta_lines(path, 0, min(HEAD_BYTES, story_start))
    yield from meta_lines(path, story_start, size - story_start)


def note_reading(found: Story, row: Event) -> None:
    """Bring what is known of a source up to date with a reading of it."""
    if row.source == META or row.source.startswith(SELF):
        return
    address = (row.source, row.dev if (row.source, row.dev) in found else None)
    known = found.get(address)
    if known is None or known.last_ns is None or row.ts_ns >= known.last_ns:
        found[address] = SourceStatus(*address, "up", row.ts_ns, simulated=row.sim)


def without_scouts(found: Mapping[Address, SourceStatus]) -> list[SourceStatus]:
    """Return the sources without those that only look for devices, once they have found some."""
    have_devices = {source for source, dev in found if dev is not None}
    return [one for one in found.values() if one.dev or one.state != "quiet" or one.source not in have_devices]


def since_start(rows: Sequence[Event]) -> Sequence[Event]:
    """Return the rows of the writer that wrote last: an earlier one's sources may be gone."""
    starts = [i for i, row in enumerate(rows) if row.source == META and row.kv.get("event") == "start"]
    return rows[starts[-1] :] if starts else rows


def follow(found: Story, event: Event) -> None:
    """Bring what is known of the sources up to date with the next line of their stream's story."""
    told, which = event.kv.get("event"), event.kv.get("which")
    if told == "start":
        found.clear()
        found.update({address: SourceStatus(*address) for address in _listed(event)})
    elif told == "source_down" and isinstance(which, str):
        reason, fix = _text(event, "reason"), _text(event, "fix")
        found[which, event.dev] = SourceStatus(which, event.dev, "down", event.ts_ns, reason, fix)
    elif told == "source_up" and isinstance(which, str):
        for address in [known for known in found if known[1] in _ports(event)]:
            del found[address]  # what was called by its port has said who it is
        found[which, event.dev] = SourceStatus(which, event.dev, "up", event.ts_ns)


def periods_ms(start: Event) -> dict[Address, float]:
    """Return how often the sources that a ``start`` line lists are read, as far as it says so."""
    own = start.kv.get("period_ms")
    periods = {(row["source"], _dev(row)): row.get("period_ms", own) for row in _table(start) if _names(row)}
    return {address: period for address, period in periods.items() if isinstance(period, int | float)}


def _listed(start: Event) -> list[Address]:
    """Return the sources that a ``start`` line lists."""
    return [(row["source"], _dev(row)) for row in _table(start) if _names(row)]


def _names(row: Mapping[str, object]) -> bool:
    return isinstance(row.get("source"), str)


def _ports(up: Event) -> set[str]:
    """Return the ports on which the devices of a ``source_up`` line are."""
    return {row["port"] for row in _table(up) if isinstance(row.get("port"), str)}


def _table(event: Event) -> list[dict[str, Any]]:
    listed = event.kv.get("sources")
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


def _dev(row: Mapping[str, object]) -> str | None:
    dev = row.get("dev")
    return dev if isinstance(dev, str) else None


def _text(event: Event, key: str) -> str | None:
    value = event.kv.get(key)
    return value if isinstance(value, str) else None
