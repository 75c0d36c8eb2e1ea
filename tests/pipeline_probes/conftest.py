from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchlab import clock
from benchlab.clock import SessionClock
from pipeline_probes.gst.graph import Graph
from pipeline_probes.gst.pipeline_source import PipelineSource
from pipeline_probes.stage_spec import stage_spec
from support.stage_programs import Inbox


@pytest.fixture
def timeline() -> SessionClock:
    return SessionClock(clock.wall_ns() - clock.boottime_ns())


@pytest.fixture
def play(gst: Any, timeline: SessionClock) -> Iterator[Callable[..., PipelineSource]]:
    """Make a source of a pipeline, as ``play("videotestsrc ! ...", "in=enc.sink", device=..., disorder_ms=...)``."""
    sources: list[PipelineSource] = []

    def _play(
        text: str,
        *stages: str,
        capture_sources: tuple[str, ...] = ("v4l2src",),
        device: Path | None = None,
        disorder_ms: int = 20,
        setup: Callable[[Graph], None] = lambda graph: None,
        **seams: Any,
    ) -> PipelineSource:
        graph = Graph(gst, text, [stage_spec(stage) for stage in stages], capture_sources)
        setup(graph)
        sources.append(PipelineSource(graph, "test", timeline, disorder_ms, device, **seams))
        return sources[-1]

    yield _play
    for source in sources:
        source.close()


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where a collector of the test may listen."""
    return str(tmp_path_factory.mktemp("run") / "s")


@pytest.fixture
def listen(path: str) -> Iterator[Callable[[], Inbox]]:
    """Listen, as ``listen()``; what was opened is closed at the end."""
    opened: list[Inbox] = []

    def _listen() -> Inbox:
        opened.append(Inbox(path))
        return opened[-1]

    yield _listen
    for inbox in opened:
        inbox.close()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Return the folder of the raw streams of the session ``s``."""
    return tmp_path / "sessions" / "s" / "raw"
