from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.stage_programs import Inbox


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
