"""One raw stream's intake: what is late in its own file, what waits in it, and up to when it vouches for the time."""

from __future__ import annotations

from enum import IntEnum
from operator import attrgetter

import msgspec

from benchlab.event import META, Event
from muxd.settings import DEFAULT_DISORDER_NS, NS_PER_MS

by_time = attrgetter("ts_ns")

# Lines of their own stream's story that matter to what is written.
TOLD = frozenset({"start", "stop", "source_down", "source_up"})

_LONGEST_MS = 86_400_000  # a day: no source reads more seldom, and none averages over more


class Hold(IntEnum):
    """Whether a stream may still have something to say about the past."""

    EXCUSED = 0  # at its end and silent for too long, or never to be written again
    WAITED_FOR = 1  # at its end, but its writer was alive a moment ago
    UNREAD = 2  # there are bytes that have not been taken


class Stream(msgspec.Struct):
    """What is known of one raw stream; the three buffers hold what the frontier has not passed, in time order.

    ``max_ns`` is the highest time so far, ``disorder_ns`` how far behind it a line may lie, and ``floor_ns`` the
    lowest time that is not late: it never sinks, so that lateness is a property of the file alone.
    """

    name: str
    max_ns: int = -1
    floor_ns: int = -1
    disorder_ns: int = DEFAULT_DISORDER_NS
    stopped: bool = False
    has_stages: bool = False
    has_power: bool = False
    lines: int = 0
    used: int = 0
    late: int = 0
    bad: int = 0
    stages: list[Event] = []
    power: list[Event] = []
    signals: list[Event] = []

    def hear(self, event: Event) -> bool:
        """Take a ``meta`` line to heart; tell whether it matters to what is written."""
        told = event.kv.get("event")
        self.stopped = told == "stop"
        if told == "start":
            self.disorder_ns = stated_disorder_ns(event)
        return told.__class__ is str and told in TOLD

    def sort(self) -> None:
        """Bring the buffers into time order; lines of the same time keep the file's order."""
        self.stages.sort(key=by_time)
        self.power.sort(key=by_time)
        self.signals.sort(key=by_time)


def stated_disorder_ns(start: Event) -> int:
    """Return how far behind the newest line a ``start`` line says that its stream's lines may lie."""
    disorder_ms = start.kv.get("disorder_ms")
    if isinstance(disorder_ms, (int, float)) and 0 <= disorder_ms <= 3_600_000:
        return int(disorder_ms * NS_PER_MS)
    return DEFAULT_DISORDER_NS


def stated_ns(line: Event, field: str) -> dict[str, int]:
    """Return a duration in ms that a ``start`` or ``source_up`` line states for its sources, in ns by source."""
    stated: dict[str, int] = {}
    table = line.kv.get("sources")
    for row in table if line.source == META and isinstance(table, list) else ():
        if not isinstance(row, dict):
            continue
        source, value_ms = row.get("source"), row.get(field)
        if isinstance(source, str) and isinstance(value_ms, (int, float)) and 0 < value_ms <= _LONGEST_MS:
            stated[source] = int(value_ms * NS_PER_MS)
    return stated
