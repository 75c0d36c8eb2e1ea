"""disk.psutil: traffic and waits of the disks, one event for each."""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon import Absent, Reading, Source
from benchlab.event import Value
from benchlab.host.disk import Disk, Disks
from telemetryd.sources import KERNEL_LANE, Options


class DiskSource:
    """Every whole disk that has served a request; ``dev`` is its name."""

    name = "disk.psutil"
    lane = KERNEL_LANE
    stamping = "end"

    def __init__(self, root: Path = Path("/"), period_s: float = 0.1) -> None:
        self.window_ms = period_s * 1e3
        self._disks = Disks(root)

    def sample(self) -> list[Reading]:
        """Return a reading for each disk. Raises Absent if there is none, Transient for garbage."""
        found = self._disks.read()
        if not found:
            raise Absent("no whole disk has served a request")
        return [Reading(_values(disk), dev=name) for name, disk in found.items()]


def _values(disk: Disk) -> dict[str, Value]:
    rates = {
        "read_bytes_s": disk.read_b_s,
        "write_bytes_s": disk.write_b_s,
        "reads_s": disk.reads_s,
        "writes_s": disk.writes_s,
        "read_wait_ms": disk.read_wait_ms,
        "write_wait_ms": disk.write_wait_ms,
        "busy": disk.busy,
    }
    kv: dict[str, Value] = {key: round(value, 2) for key, value in rates.items() if value is not None}
    return {**kv, "in_flight": disk.in_flight, "read_bytes": disk.read_b, "write_bytes": disk.write_b}


def sources(options: Options) -> list[Source]:
    """Return the disks."""
    return [DiskSource(options.root, options.period_s)]
