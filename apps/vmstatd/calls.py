"""Calls that may never return: each runs in a thread of its own, and whoever waits for it need not wait for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Call(Generic[Result]):
    """A function that runs in a thread from now on. A thread that never ends does not keep the program from ending."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self._ended = threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="libvirt call", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether the function has returned or raised."""
        return self._ended.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end, for this long at most; return whether it came."""
        return self._ended.wait(max(0.0, timeout_s))

    def result(self) -> Result:
        """Return what it returned, once it has ended. Raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()
