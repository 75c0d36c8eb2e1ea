"""Simulated frames on their way through a pipeline: which stage each one reaches, and when.

A frame's fate is a pure function of (seed, flow, frame number), so the same session time gives the same
frames however often the program is restarted, and no number is ever used for two frames.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from benchlab.event import PIPELINE, Event
from benchlab.sim import NS, SEED, Chance, LogNormal

_JITTER_DRAW = 0


@dataclass(frozen=True)
class Shape:
    """What a simulated flow looks like.

    ``hops`` holds the latency in ms from each stage to the next, ``drop_rate`` is the share of frames lost on
    each of these ways, and frames enter up to ``jitter_ms`` before or after their turn.
    Raises ValueError where this cannot be: the message names what.
    """

    flow: str
    stages: tuple[str, ...]
    hops: tuple[LogNormal, ...]
    fps: float = 60.0
    drop_rate: float = 0.01
    jitter_ms: float = 0.3
    seed: int = SEED

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if len(self.stages) < 2 or len(set(self.stages)) < len(self.stages):
            raise ValueError(f"expected two or more different stages, found {' '.join(self.stages)}")
        if len(self.hops) != len(self.stages) - 1:
            raise ValueError(f"expected {len(self.stages) - 1} latencies, found {len(self.hops)}")
        if not 0.1 <= self.fps <= 10_000.0:
            raise ValueError(f"expected 0.1 to 10000 frames a second, found {self.fps:g}")
        if not 0.0 <= self.drop_rate <= 1.0:
            raise ValueError(f"expected a drop rate from 0 to 1, found {self.drop_rate:g}")
        if not 0.0 <= self.jitter_ms < 500.0 / self.fps:
            raise ValueError(
                f"expected a jitter from 0 to under half a frame ({500.0 / self.fps:g} ms), found {self.jitter_ms:g}"
            )


class Frames:
    """The endless flow of frames of one shape; frame 0 enters at ``base_ns`` of the timeline."""

    def __init__(self, shape: Shape, base_ns: int) -> None:
        self.shape = shape
        self._base_ns = base_ns
        self._chance = Chance(shape.seed, f"frames of {shape.flow}")

    def events(self, since_ns: int) -> Iterator[Event]:
        """Yield, in order of time, the events of all frames that enter at or after a time; never ends."""
        on_the_way: list[tuple[int, int, int, Event]] = []
        number = self.first_since(since_ns)
        while True:
            for place, event in enumerate(self.frame(number)):
                heapq.heappush(on_the_way, (event.ts_ns, number, place, event))
            number += 1
            horizon_ns = self._enters_ns(number)
            while on_the_way and on_the_way[0][0] < horizon_ns:
                yield heapq.heappop(on_the_way)[3]

    def first_since(self, ts_ns: int) -> int:
        """Return the number of the first frame that enters at or after a time."""
        number = max(0, int((ts_ns - self._base_ns) * self.shape.fps / NS) - 1)
        while self._enters_ns(number) < ts_ns:
            number += 1
        return number

    def frame(self, number: int) -> list[Event]:
        """Return the events of one frame, one for each stage that it reaches."""
        shape = self.shape
        ts_ns = self._enters_ns(number)
        events = [self._event(number, ts_ns, shape.stages[0])]
        for hop, (stage, latency) in enumerate(zip(shape.stages[1:], shape.hops, strict=True)):
            if self._chance.uniform(number, 4 * hop + 1) < shape.drop_rate:
                break
            ts_ns += round(latency.at(self._chance.normal(number, 2 * hop + 1)) * 1e6)
            events.append(self._event(number, ts_ns, stage))
        return events

    def _event(self, number: int, ts_ns: int, stage: str) -> Event:
        kv = {"stage": stage, "frame": number, "pts_ns": self._turn_ns(number), "flow": self.shape.flow}
        return Event(ts_ns=ts_ns, source=PIPELINE, kv=kv, sim=True)

    def _turn_ns(self, number: int) -> int:
        """Return a frame's presentation time: when it is its turn, counted from frame 0."""
        return round(number * NS / self.shape.fps)

    def _enters_ns(self, number: int) -> int:
        jitter = (2.0 * self._chance.uniform(number, _JITTER_DRAW) - 1.0) * self.shape.jitter_ms
        return self._base_ns + self._turn_ns(number) + round(jitter * 1e6)
