"""One frame of each stage, for ``--once``."""

from __future__ import annotations

from time import monotonic_ns

from benchlab.daemon import Absent, Ended, Reading
from benchlab.event import META
from pipeline_probes.gst.pipeline_source import PipelineSource

PATIENCE_S = 4.0


class FirstFrames:
    """Samples a pipeline until each of its stages has been seen once, or the time is over."""

    waits = True

    def __init__(self, source: PipelineSource, stages: int) -> None:
        self.name = source.name
        self.dev = source.dev
        self._source = source
        self._missing = stages
        self._first: dict[object, Reading] = {}

    def sample(self) -> list[Reading]:
        """Return the first reading of each stage, and nothing when asked again.

        Raises Absent if no buffer came, and what the pipeline raises.
        """
        if self._first:
            return []
        give_up_ns = monotonic_ns() + round(PATIENCE_S * 1e9)
        while monotonic_ns() < give_up_ns and not self._is_complete():
            try:
                readings = self._source.sample()
            except Ended:
                break
            for reading in readings:
                if reading.source != META:
                    self._first.setdefault(reading.kv["stage"], reading)
        if not self._first:
            raise Absent("no buffer reached any stage")
        return list(self._first.values())

    def _is_complete(self) -> bool:
        return len(self._first) >= self._missing
