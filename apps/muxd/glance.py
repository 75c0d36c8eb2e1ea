"""Pairs as they are read, for a gauge that must not wait.

The engine decides a pair once every stream that matters has vouched for its time. Here the same pairing runs over
the lines in the order in which they come: at once, and wrong for a moment where a stream was out of order.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchlab.event import PIPELINE, Event
from muxd.pairing import Decision, Pairer
from muxd.rows import Completed
from muxd.settings import Settings
from muxd.streams import by_time


class Glance:
    """Tells the newest latency of each pair."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._pairs = pairs
        self._stages = {stage for pair in pairs for stage in pair}
        self._pairer = Pairer(Settings(pairs=pairs))

    def newest_ms(self, events: Iterable[Event]) -> dict[tuple[str, str], float]:
        """Return the last latency that these lines complete, by pair."""
        stages = sorted((event for event in events if self._is_stage(event)), key=by_time)
        if not stages:
            return {}
        decisions: list[Decision] = []
        self._pairer.process(stages, decisions)
        self._pairer.pass_time(stages[-1].ts_ns, decisions)
        return {self._pairs[d.pair]: (d.b_ns - d.a_ns) / 1e6 for d in decisions if isinstance(d, Completed)}

    def _is_stage(self, event: Event) -> bool:
        stage = event.kv.get("stage") if event.source == PIPELINE else None
        return isinstance(stage, str) and stage in self._stages
