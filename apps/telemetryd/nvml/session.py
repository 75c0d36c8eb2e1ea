"""NVML as this process uses it: many threads ask, one begins it, and begins it anew when a GPU or the driver went."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

from benchlab.daemon import Absent, Transient
from benchlab.daemon.schedule import NS, Backoff
from telemetryd.nvml import library
from telemetryd.nvml.codes import BROKEN, LIB_RM_VERSION_MISMATCH, absence

HANGS_NS = NS // 4
"""A call that takes longer is not waited for."""

PATIENCE_S = 0.5
"""How long one side waits for the other when NVML is begun anew: callers for the new session, it for their calls."""

BACKOFF_S = (1.0, 60.0)
"""First and longest wait between two new beginnings: each costs the GPUs that are well a moment."""


@dataclass(frozen=True, eq=False)
class Session:
    """The time between nvmlInit and nvmlShutdown, in which handles are valid."""

    nvml: Any
    driver: str


class Nvml:
    """Guards NVML: no call outlives its session, and no session ends under a call, not even under one that hangs."""

    def __init__(self, backoff_s: tuple[float, float] = BACKOFF_S) -> None:
        self._changed = threading.Condition()
        self._session: Session | None = None
        self._is_changing = False
        self._why = Absent("NVML is not begun yet")
        self._calls: dict[int, int] = {}
        self._is_doubted = False
        self._backoff = Backoff(*backoff_s)
        self._quiet_ns = round(backoff_s[1] * NS)
        self._renew_ns = 0

    @contextmanager
    def calls(self) -> Iterator[Session]:
        """Enter calls on the session there is; what NVML raises in it becomes Absent or Transient.

        Raises Absent if NVML is not to be had.
        """
        thread = threading.get_ident()
        with self._changed:
            if self._is_changing:
                self._changed.wait_for(lambda: not self._is_changing, PATIENCE_S)
            if self._session is None or self._is_changing:
                raise Absent(self._why.reason, self._why.fix)
            session = self._session
            self._calls[thread] = monotonic_ns()
        try:
            yield session
        except session.nvml.NVMLError as error:
            if error.value not in BROKEN:
                raise Transient(f"NVML {error.value}: {error}") from error
            self.doubt(session)
            raise absence(error.value, str(error)) from error
        finally:
            with self._changed:
                del self._calls[thread]
                if self._is_changing:
                    self._changed.notify_all()

    def doubt(self, session: Session) -> None:
        """Ask for a new beginning because something is missing in this session."""
        with self._changed:
            if session is self._session and not self._is_doubted:
                self._is_doubted = True
                if monotonic_ns() > self._renew_ns + self._quiet_ns:
                    self._backoff.reset()

    def is_due(self) -> bool:
        """Tell whether NVML is to be begun now."""
        return self._session is None or (self._is_doubted and monotonic_ns() >= self._renew_ns)

    def renew(self, release: Callable[[], None]) -> Session | None:
        """End the session if there is one, and begin another; only one thread may.

        ``release`` lets go of what the caller holds of the old one. Returns None, with everything as it was,
        while a call hangs. Raises Absent if NVML cannot be begun.
        """
        if not self._close():
            return None
        try:
            release()
            self._end()
            self._session = self._begin()
        except Absent as error:
            self._why = error
            raise
        finally:
            with self._changed:
                self._is_changing = False
                self._changed.notify_all()
        return self._session

    def _close(self) -> bool:
        """Let no call begin and wait for those under way; give up where one hangs."""
        with self._changed:
            if any(monotonic_ns() - since_ns > HANGS_NS for since_ns in self._calls.values()):
                return False
            self._is_changing = True
            if self._changed.wait_for(lambda: not self._calls, PATIENCE_S):
                return True
            self._is_changing = False
            self._changed.notify_all()
            return False

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        self._why = Absent("NVML is being begun anew")
        try:
            session.nvml.nvmlShutdown()
        except session.nvml.NVMLError:
            pass  # there is nothing left to shut down

    def _begin(self) -> Session:
        nvml = library.load()
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            if error.value == LIB_RM_VERSION_MISMATCH:
                library.unload(nvml)
            raise absence(error.value, str(error)) from error
        self._is_doubted = False
        self._renew_ns = monotonic_ns() + self._backoff.next_ns()
        return Session(nvml, _driver(nvml))


def _driver(nvml: Any) -> str:
    try:
        return str(nvml.nvmlSystemGetDriverVersion())
    except nvml.NVMLError:
        return "of unknown version"
