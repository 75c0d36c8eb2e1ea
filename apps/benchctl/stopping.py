"""Stop requests: Ctrl-C, SIGTERM and a closed terminal, turned into something a loop can wait for."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """Count stop signals while the context is open and wake whoever waits.

    A pipe and not a ``threading.Event``: a handler runs in the main thread, which may hold the event's lock.
    A SIGHUP that is ignored (``nohup``) stays ignored.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: int | None = None
        self._former: dict[signal.Signals, Any] = {}
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def __enter__(self) -> StopRequests:
        """Take the signals over."""
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._former[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.last = number
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups already

    def fileno(self) -> int:
        """Return what becomes readable with a stop signal, to be waited for together with something else."""
        return self._read

    def wait(self, seconds: float) -> bool:
        """Wait for a stop signal that no earlier call has returned, at most ``seconds``; say if one came."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, seconds))
        if ready:
            os.read(self._read, 4096)
        return bool(ready)

    def __bool__(self) -> bool:
        """Say whether a stop was asked for."""
        return self.count > 0


def wait_until(condition: Callable[[], object], timeout_s: float, stop: StopRequests, step_s: float = 0.05) -> bool:
    """Ask ``condition`` until it is true; give up after ``timeout_s`` or at the next stop signal."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0 or stop.wait(min(step_s, left)):
            return bool(condition())
    return True
