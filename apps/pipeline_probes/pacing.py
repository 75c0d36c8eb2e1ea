"""Writing events when their moment has come: the loop of a source that is driven by events, not polled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchlab.event import Event
from benchlab.sim import NS

BATCH_NS = 2_000_000
TICK_NS = NS // 4
STALL_NS = NS


def pace(
    events_since: Callable[[int], Iterator[Event]],
    now_ns: Callable[[], int],
    wait: Callable[[float], bool],
    write: Callable[[Sequence[Event]], None],
    tick: Callable[[], None],
    stalled: Callable[[int], None],
) -> None:
    """Write each event at its own time, never before it, until ``wait`` returns true.

    ``wait`` sleeps up to that many seconds and returns true when the loop is to end. What falls due within
    2 ms is written together. ``tick`` is called about every 0.25 s. After a stall of more than 1 s (the
    machine slept) what was missed is not made up: ``stalled`` is told how many ns late the loop was, and the
    events start anew.
    """
    events = events_since(now_ns())
    event = next(events)
    tick_ns = now_ns()
    while True:
        now = now_ns()
        if now - event.ts_ns > STALL_NS:
            stalled(now - event.ts_ns)
            events = events_since(now)
            event = next(events)
        due: list[Event] = []
        while event.ts_ns <= now:
            due.append(event)
            event = next(events)
        if due:
            write(due)
        if now >= tick_ns:
            tick()
            tick_ns = now + TICK_NS
        if wait(max(min(event.ts_ns, tick_ns) - now, BATCH_NS) / NS):
            return
