"""gpu.nvml as a whole: begins NVML and keeps it going, finds the GPUs, and waits for the errors they report (XID)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import sleep
from typing import Any

from benchlab.daemon import Absent, Reading, Source, Transient
from benchlab.event import Scalar
from telemetryd.nvml.codes import NOT_FOUND, absence
from telemetryd.nvml.gpu import GpuSource
from telemetryd.nvml.session import Nvml, Session
from telemetryd.nvml.xid import XidEvents, register

WAIT_S = 0.25


class GpuWatch:
    """Every GPU, or the one of an index, becomes a source of its own once it is found.

    This source is down while NVML as a whole cannot be read, or the GPU of the index is not there; what
    befalls one GPU of several is told by that one.
    """

    name = "gpu.nvml"
    waits = True

    def __init__(self, nvml: Nvml, now_ns: Callable[[], int], index: int | None = None, wait_s: float = WAIT_S) -> None:
        self.identity: dict[str, Scalar] = {}
        self._nvml = nvml
        self._now_ns = now_ns
        self._index = index
        self._wait_s = wait_s
        self._gpus: dict[str, GpuSource] = {}
        self._arrived: deque[GpuSource] = deque()
        self._missing: Absent | None = None
        self._events: XidEvents | None = None

    def arrivals(self) -> Sequence[Source]:
        """Return the GPUs that were found since the last time."""
        return [self._arrived.popleft() for _ in range(len(self._arrived))]

    def sample(self) -> list[Reading]:
        """Wait a moment for an error of a GPU. Raises Absent if there is no GPU to be had."""
        has_begun = self._nvml.is_due() and self._begin()
        if self._missing and not self._gpus:
            raise Absent(self._missing.reason, self._missing.fix)
        if has_begun:
            return []
        if self._events is None:
            sleep(self._wait_s)
            return []
        return self._wait(self._events)

    def _begin(self) -> bool:
        """Have NVML begun anew, unless a call hangs, and look for GPUs; return whether it was.

        Raises Absent if NVML cannot be begun.
        """
        session = self._nvml.renew(self._release)
        if session is None:
            return False
        self._missing = None
        try:
            with self._nvml.calls():
                handles = self._find(session)
                self._events = register(session, handles)
            for uuid in self._events.heard if self._events else ():
                self._gpus[uuid].errors.listen()
        except (Absent, Transient) as error:
            self._doubt(session, Absent(str(error), getattr(error, "fix", "")))
        return True

    def _release(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.free()

    def _doubt(self, session: Session, why: Absent) -> None:
        """Have NVML begun anew some time later; until then this is why there is no GPU, if there is none."""
        self._nvml.doubt(session)
        self._missing = why

    def _find(self, session: Session) -> dict[str, Any]:
        """Return the handles of the GPUs to sample by UUID, and note those that are new."""
        count = session.nvml.nvmlDeviceGetCount()
        self.identity = {"driver": session.driver, "gpus": count}
        if not count:
            self._doubt(session, absence(NOT_FOUND, "0 GPUs"))
        elif self._index is not None and self._index >= count:
            self._doubt(session, _out_of_range(self._index, count))
        handles = dict(found for index in range(count) if (found := self._handle(session, index)))
        if self._index is not None and self._gpus:
            return {uuid: handle for uuid, handle in handles.items() if uuid in self._gpus}
        new = {uuid: GpuSource(self._nvml, uuid, self._now_ns) for uuid in handles if uuid not in self._gpus}
        self._gpus.update(new)
        self._arrived.extend(new.values())
        return handles

    def _handle(self, session: Session, index: int) -> tuple[str, Any] | None:
        """Return UUID and handle of the GPU that has an index now, None if it is not to be sampled or is lost."""
        if self._index not in (None, index) and not self._gpus:
            return None
        try:
            handle = session.nvml.nvmlDeviceGetHandleByIndex(index)
            return session.nvml.nvmlDeviceGetUUID(handle), handle
        except session.nvml.NVMLError as error:
            why = absence(error.value, str(error))
            self._doubt(session, why)
            self.identity["unreadable"] = f"index {index}: {why.reason}"
            return None

    def _wait(self, events: XidEvents) -> list[Reading]:
        try:
            error = events.wait(self._wait_s)
        except Transient:
            self._release()
            self._nvml.doubt(events.session)  # after a new beginning errors are reported again
            return []
        if error is None:
            return []
        uuid, code = error
        self._gpus[uuid].errors.add(code)
        return [Reading({"xid": code}, ts_ns=self._now_ns(), dev=uuid)]


def _out_of_range(index: int, count: int) -> Absent:
    there = "only index 0" if count == 1 else f"index 0 to {count - 1}"
    return Absent(
        f"found {count} {'GPU' if count == 1 else 'GPUs'} ({there}), expected one of index {index}",
        'give --device-index or [gpu] device_index a number that is there, or "all"',
    )
