"""Merges the raw streams into one total order: time, then stream name, then position in the file.

Three frontiers move with what the streams vouch for. Stage events are released as soon as every stream that carries
a paired stage vouches for them, so that a latency is known at once; power when those that carry power do as well;
signals when all do. A line behind its frontier cannot be entered any more: it is returned as a ``LateEntry``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from benchlab.event import BOOKMARK, META, PIPELINE, Event
from muxd.rows import LATE, OURS, LateEntry
from muxd.settings import NS_PER_MS
from muxd.streams import Hold, Stream, by_time

OffsetOf = Callable[[int], int]


class Frontier(msgspec.Struct):
    """Up to when (exclusive) each kind of event has been released; never sinks."""

    stages_ns: int = -1
    power_ns: int = -1
    signals_ns: int = -1

    def raise_to(self, stages_ns: int, power_ns: int, signals_ns: int) -> None:
        """Move on; signals never run ahead of power, power never of stages."""
        self.stages_ns = max(self.stages_ns, stages_ns)
        self.power_ns = max(self.power_ns, min(self.stages_ns, power_ns))
        self.signals_ns = max(self.signals_ns, min(self.power_ns, signals_ns))


class Released(msgspec.Struct):
    """What an advance lets through, each in total order."""

    stages: list[Event]
    power: list[Event]
    signals: list[Event]


class MergerState(msgspec.Struct):
    """What has to be kept for the merge to go on elsewhere."""

    streams: list[Stream]
    frontier: Frontier


class Merger:
    """Holds every stream's events until all others have vouched for their time."""

    def __init__(self, stages: Collection[str], wants_power: Callable[[str], bool]) -> None:
        self._stages = frozenset(stages)
        self._wants_power = wants_power
        self._is_power: dict[str, bool] = {}
        self.streams: dict[str, Stream] = {}
        self.frontier = Frontier()
        self.stages_seen: set[str] = set()

    def stream(self, name: str) -> Stream:
        """Return the stream of that name, new if it was not known."""
        found = self.streams.get(name)
        if found is None:
            found = self.streams[name] = Stream(name)
            self.streams = dict(sorted(self.streams.items()))
        return found

    def feed(
        self, name: str, rows: Sequence[Event], offset_of: OffsetOf, left_out: Collection[int] = ()
    ) -> list[LateEntry]:
        """Take the next good lines of a stream, in the file's order.

        ``left_out`` holds the offsets of lines that an earlier run found behind its frontier. Returns the lines that
        are behind it now.
        """
        stream = self.stream(name)
        entries: list[LateEntry] = []
        strict = bool(left_out) or stream.floor_ns < self.frontier.stages_ns
        floor_ns, max_ns, disorder_ns = stream.floor_ns, stream.max_ns, stream.disorder_ns
        route = self._route
        for i, event in enumerate(rows):
            ts_ns = event.ts_ns
            if ts_ns > max_ns:
                max_ns = ts_ns
            if ts_ns - disorder_ns > floor_ns:
                floor_ns = ts_ns - disorder_ns
            late = ts_ns < floor_ns
            if event.source == META:
                matters = stream.hear(event)
                disorder_ns = stream.disorder_ns
                if not (matters or late):
                    continue
            elif stream.stopped:
                stream.stopped = False
            if late or strict:
                stream.late += late
                taken = late_event(name, offset_of(i), event, max_ns) if late else event
                if strict and self._leave_out(taken, event.ts_ns, offset_of(i), name, left_out, entries):
                    stream.late += not late
                    continue
                if late:
                    stream.signals.append(taken)
                    continue
            route(stream, event)
        stream.floor_ns, stream.max_ns = floor_ns, max_ns
        stream.lines += len(rows)
        stream.sort()
        return entries

    def advance(self, holds: Mapping[str, Hold]) -> Released:
        """Release what every stream that matters has vouched for."""
        unread = [s.floor_ns for s in self.streams.values() if holds[s.name] == Hold.UNREAD]
        waited_for = [s for s in self.streams.values() if holds[s.name] == Hold.WAITED_FOR and not s.stopped]
        stages = unread + [s.floor_ns for s in waited_for if s.has_stages]
        power = stages + [s.floor_ns for s in waited_for if s.has_power]
        every = unread + [s.floor_ns for s in waited_for]
        if every:
            self.frontier.raise_to(min(stages or power or every), min(power or every), min(every))
        return self._release()

    def release_rest(self) -> tuple[Released, int]:
        """Release everything, at the end of a session; also return its end, the highest time of any stream."""
        end_ns = max((stream.max_ns for stream in self.streams.values()), default=-1)
        self.frontier.raise_to(end_ns + 1, end_ns + 1, end_ns + 1)
        return self._release(), end_ns

    def state(self) -> MergerState:
        """Return what ``restore`` needs."""
        return MergerState(list(self.streams.values()), self.frontier)

    def restore(self, state: MergerState) -> None:
        """Go on from another merger's state."""
        self.streams = {stream.name: stream for stream in state.streams}
        self.frontier = state.frontier

    def _route(self, stream: Stream, event: Event) -> None:
        """Put a line where it is used; a stage that no pair names is only remembered as seen."""
        source = event.source
        if source == PIPELINE:
            stage = event.kv.get("stage")
            if stage.__class__ is not str:
                return
            if stage in self._stages:
                stream.stages.append(event)
                stream.has_stages = True
            self.stages_seen.add(stage)
        elif source == META:
            stream.power.append(event)
            stream.signals.append(event)
        elif source != BOOKMARK and not source.startswith(OURS):
            stream.signals.append(event)
            if self._carries_power(source):
                stream.power.append(event)
                stream.has_power = True

    def _carries_power(self, source: str) -> bool:
        known = self._is_power.get(source)
        if known is None:
            known = self._is_power[source] = self._wants_power(source)
        return known

    def _leave_out(
        self,
        event: Event,
        ts_ns: int,
        offset: int,
        name: str,
        left_out: Collection[int],
        entries: list[LateEntry],
    ) -> bool:
        """Tell whether a line is left out because its time has passed, in an earlier run or in this one."""
        if offset in left_out:
            return True
        frontier_ns = self._frontier_of(event)
        if event.ts_ns >= frontier_ns:
            return False
        entries.append(LateEntry(name, offset, ts_ns, frontier_ns))
        return True

    def _frontier_of(self, event: Event) -> int:
        if event.source == PIPELINE:
            return self.frontier.stages_ns
        if event.source == META or self._carries_power(event.source):
            return self.frontier.power_ns
        return self.frontier.signals_ns

    def _release(self) -> Released:
        frontier = self.frontier
        streams = self.streams.values()
        return Released(
            taken_before(frontier.stages_ns, [stream.stages for stream in streams]),
            taken_before(frontier.power_ns, [stream.power for stream in streams]),
            taken_before(frontier.signals_ns, [stream.signals for stream in streams]),
        )


def taken_before(ts_ns: int, buffers: list[list[Event]]) -> list[Event]:
    """Take the events before a time out of buffers that are each in order, and merge them stably by time."""
    taken: list[Event] = []
    for buffer in buffers:
        cut = bisect_left(buffer, ts_ns, key=by_time)
        if cut:
            taken += buffer[:cut]
            del buffer[:cut]
    taken.sort(key=by_time)
    return taken


def late_event(stream: str, offset: int, event: Event, max_ns: int) -> Event:
    """Return what stands for a line that is late in its own file: its place is where the file stood."""
    kv = {
        "stream": stream,
        "offset": offset,
        "behind_ms": (max_ns - event.ts_ns) / NS_PER_MS,
        "ts_ns": event.ts_ns,
    }
    return Event(ts_ns=max_ns, source=LATE, kv=kv, sim=event.sim)
