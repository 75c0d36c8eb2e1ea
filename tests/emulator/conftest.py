"""A program at the other end of the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.serial_host import Host


@pytest.fixture
def host() -> Iterator[Callable[..., Host]]:
    opened: list[Host] = []

    def _open(path: str | Path) -> Host:
        opened.append(Host(path))
        return opened[-1]

    yield _open
    for one in opened:
        try:
            one.close()
        except OSError:
            pass
