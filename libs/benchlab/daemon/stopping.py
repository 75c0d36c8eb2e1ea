"""Ending at once, for daemons whose work may be broken off anywhere because the next start goes on with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Stopped(BaseException):
    """SIGTERM or SIGINT came."""


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Let SIGTERM and SIGINT raise Stopped, wherever the main thread is."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Stopped

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
