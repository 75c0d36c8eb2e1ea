"""How vmstatd fares, by the statistics that it writes after every poll."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from benchctl.stream_status import NS
from benchlab.event import Event
from benchlab.log.file_end import last_rows

STREAM = "vmstat.jsonl"
SOURCE = "self.vm"
TAIL_BYTES = 2 * 1024 * 1024


class VmStatistics(msgspec.Struct):
    """What vmstatd said last, None what it did not say; and how old its last poll is that succeeded."""

    started_at_ns: int | None = None
    total_collections: int | None = None
    total_errors: int | None = None
    last_collection_time_ns: int | None = None
    vms_monitored: int | None = None
    total_metrics_written: int | None = None
    last_collection_age_s: float | None = None


_TOLD = VmStatistics.__struct_fields__[:-1]


def vm_statistics(raw: Path, present: Callable[[], int]) -> VmStatistics | None:
    """Return the statistics of a session's VMs; None where none were written. Raises Fault (IO)."""
    path = raw / STREAM
    if not path.exists():
        return None
    told = (row.kv for row in reversed(last_rows(path, Event, TAIL_BYTES)) if row.source == SOURCE)
    found = next(told, None)
    if found is None:
        return None
    kept = {name: value for name in _TOLD if isinstance(value := found.get(name), int)}
    statistics = msgspec.convert(kept, VmStatistics)
    if statistics.last_collection_time_ns is not None:
        statistics.last_collection_age_s = (present() - statistics.last_collection_time_ns) / NS
    return statistics
