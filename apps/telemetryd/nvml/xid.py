"""Errors that GPUs report as they happen (XID).

Source: nvml.h, event sets; what a code means is in NVIDIA's XID catalog.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from benchlab.daemon import Transient
from benchlab.event import Value
from telemetryd.nvml.codes import TIMEOUT
from telemetryd.nvml.session import Session


@dataclass
class Errors:
    """What one GPU has reported since it was first listened to; nothing is known before."""

    count: int | None = None
    last: int | None = None

    def listen(self) -> None:
        """Begin, or go on, to count."""
        self.count = self.count or 0

    def add(self, code: int) -> None:
        """Count an error."""
        self.count = (self.count or 0) + 1
        self.last = code

    def values(self) -> dict[str, Value]:
        """Return what a reading says of them."""
        known = {"xid_errors": self.count, "last_xid": self.last}
        return {key: value for key, value in known.items() if value is not None}


class XidEvents:
    """What the GPUs of a session report from the moment of registration on."""

    def __init__(self, session: Session, events: Any, uuids: Mapping[int | None, str]) -> None:
        self.session = session
        self._events = events
        self._uuids = uuids

    @property
    def heard(self) -> Collection[str]:
        """The GPUs that are listened to."""
        return self._uuids.values()

    def wait(self, timeout_s: float) -> tuple[str, int] | None:
        """Return GPU and code of the next error, None if there was none in time.

        Raises Transient if NVML reports no more.
        """
        nvml = self.session.nvml
        try:
            data = nvml.nvmlEventSetWait(self._events, round(timeout_s * 1e3))
        except nvml.NVMLError as error:
            if error.value == TIMEOUT:
                return None
            raise Transient(f"NVML {error.value}: {error}") from error
        uuid = self._uuids.get(_address(data.device))
        is_error = data.eventType == nvml.nvmlEventTypeXidCriticalError
        return (uuid, data.eventData) if uuid and is_error else None

    def free(self) -> None:
        """Let go of the event set."""
        try:
            self.session.nvml.nvmlEventSetFree(self._events)
        except self.session.nvml.NVMLError:
            pass  # it went with the driver


def register(session: Session, handles: Mapping[str, Any]) -> XidEvents | None:
    """Ask to be told of the errors of these GPUs; returns None if none of them reports any."""
    nvml = session.nvml
    try:
        events = nvml.nvmlEventSetCreate()
    except nvml.NVMLError:
        return None
    uuids = {_address(handle): uuid for uuid, handle in handles.items() if _reports(nvml, handle, events)}
    found = XidEvents(session, events, uuids)
    if uuids:
        return found
    found.free()
    return None


def _reports(nvml: Any, handle: Any, events: Any) -> bool:
    wanted = nvml.nvmlEventTypeXidCriticalError
    try:
        if not nvml.nvmlDeviceGetSupportedEventTypes(handle) & wanted:
            return False
        nvml.nvmlDeviceRegisterEvents(handle, wanted, events)
    except nvml.NVMLError:
        return False
    return True


def _address(handle: Any) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value
