"""Errors that GPUs report as they happen (XID). Source: nvml.h, event sets; what a code means: NVIDIA's XID catalog."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchlab.daemon import Transient
from telemetryd.nvml.codes import TIMEOUT
from telemetryd.nvml.session import Session


@dataclass(frozen=True)
class Xid:
    """One error of one GPU."""

    uuid: str
    code: int


class XidEvents:
    """What the GPUs of a session report from the moment of registration on."""

    def __init__(self, session: Session, events: Any, uuids: Mapping[int | None, str]) -> None:
        self.session = session
        self._events = events
        self._uuids = uuids

    def wait(self, timeout_s: float) -> Xid | None:
        """Return the next error, None if there was none in time. Raises Transient if NVML reports no more."""
        nvml = self.session.nvml
        try:
            data = nvml.nvmlEventSetWait(self._events, round(timeout_s * 1e3))
        except nvml.NVMLError as error:
            if error.value == TIMEOUT:
                return None
            raise Transient(f"NVML {error.value}: {error}") from error
        uuid = self._uuids.get(_address(data.device))
        return Xid(uuid, data.eventData) if uuid and data.eventType == nvml.nvmlEventTypeXidCriticalError else None

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
