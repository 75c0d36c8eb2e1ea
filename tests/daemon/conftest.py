from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchlab.daemon import Source
from support.running_daemon import Running


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a daemon as ``begin(source, ..., option=value)``; it is stopped at the end."""
    running: list[Running] = []

    def _begin(*sources: Source, **options: Any) -> Running:
        running.append(Running(tmp_path / "testd.jsonl", sources, **options))
        return running[-1]

    yield _begin
    for daemon in running:
        daemon.end()
