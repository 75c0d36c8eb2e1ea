"""A source that has frames to report when their moment has come."""

from __future__ import annotations

import logging
from collections.abc import Callable

from benchlab.daemon import Reading
from benchlab.event import META, PIPELINE
from benchlab.sim import NS
from pipeline_probes.sim.frames import Frames

log = logging.getLogger(__name__)

POLL_S = 0.010
"""Events are written together with those of the same 10 ms: half the disorder that the stream declares."""
STALL_NS = NS


class SimulatedPipeline:
    """Reports each event of the simulated frames at its own time, never before it."""

    name = PIPELINE
    stamping = "event"
    period_s = POLL_S

    def __init__(self, frames: Frames, now_ns: Callable[[], int]) -> None:
        self._frames = frames
        self._now_ns = now_ns
        self._events = frames.events(now_ns())
        self._next = next(self._events)

    def sample(self) -> list[Reading]:
        """Return what has happened since the last call.

        What a sleeping machine missed is not made up: after more than 1 s without a call the frames since
        then are a ``gap``, and the flow goes on with the present one.
        """
        now_ns = self._now_ns()
        readings: list[Reading] = []
        if now_ns - self._next.ts_ns > STALL_NS:
            readings.append(self._skip_to(now_ns))
        while self._next.ts_ns <= now_ns:
            readings.append(Reading(kv=self._next.kv, ts_ns=self._next.ts_ns, sim=True))
            self._next = next(self._events)
        return readings

    def _skip_to(self, now_ns: int) -> Reading:
        missed = self._frames.first_since(now_ns) - self._frames.first_since(self._next.ts_ns)
        log.warning("stalled: %d frames were not recorded", missed)
        self._events = self._frames.events(now_ns)
        self._next = next(self._events)
        return Reading(kv={"event": "gap", "n": missed, "why": "stalled"}, ts_ns=now_ns, source=META, sim=True)
