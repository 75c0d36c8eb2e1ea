"""A planned pipeline made ready to be recorded, and stopped in every case."""

from __future__ import annotations

from pathlib import Path

from benchlab.clock import SessionClock
from benchlab.daemon import Absent, Reading, Source
from benchlab.errors import Exit, Fault
from benchlab.event import PIPELINE
from pipeline_probes.gst import gstreamer
from pipeline_probes.gst.first_frames import FirstFrames
from pipeline_probes.gst.graph import Graph
from pipeline_probes.gst.pipeline_source import PipelineSource
from pipeline_probes.plan import Plan

DISORDER_MS = 20
CAPTURE_DISORDER_MS = 500
"""With capture times, which lie as far back as the capture takes."""


class NoGStreamer:
    """What ``--once`` finds where GStreamer for Python is not installed."""

    name = PIPELINE

    def __init__(self, why: Absent) -> None:
        self._why = why

    def sample(self) -> list[Reading]:
        """Raise Absent."""
        raise self._why


class Running:
    """The pipeline of a plan, from its parsing to its stop.

    Raises Fault: USAGE for a plan that cannot work, NO_DEVICE where GStreamer for Python is not installed, unless
    ``once`` is set, when its source says so.
    """

    def __init__(self, plan: Plan, once: bool, root: Path = Path("/")) -> None:
        self._plan = plan
        self._once = once
        self._root = root
        self._source: PipelineSource | None = None
        self._missing: Absent | None = None
        self._graph: Graph | None = None
        try:
            self._graph = Graph(gstreamer.load(), plan.text, plan.stages)
        except Absent as why:
            if not once:
                raise Fault(f"{why.reason}; to install it: {why.fix}", Exit.NO_DEVICE) from why
            self._missing = why

    @property
    def disorder_ms(self) -> int:
        """How far behind the newest line of its file an event may lie."""
        captures = self._graph is not None and self._graph.brings_capture_times()
        return CAPTURE_DISORDER_MS if captures else DISORDER_MS

    def source(self, clock: SessionClock) -> Source:
        """Return the pipeline as a source on a timeline; only the last one that was returned may be sampled."""
        if self._graph is None:
            assert self._missing is not None
            return NoGStreamer(self._missing)
        plan = self._plan
        self._source = PipelineSource(self._graph, plan.flow, clock, self.disorder_ms, plan.device, root=self._root)
        return FirstFrames(self._source, len(plan.stages)) if self._once else self._source

    def close(self) -> bool:
        """Stop what was started; return whether it let go of its devices."""
        return self._source is None or self._source.close()
