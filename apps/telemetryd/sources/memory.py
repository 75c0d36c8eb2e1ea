"""mem.psutil: memory and swap of the host."""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon import Reading, Source
from benchlab.host.memory import MemoryInfo
from telemetryd.sources import KERNEL_LANE, Options


class MemorySource:
    """Memory as the kernel accounts for it."""

    name = "mem.psutil"
    lane = KERNEL_LANE

    def __init__(self, root: Path = Path("/")) -> None:
        self._info = MemoryInfo(root)

    def sample(self) -> list[Reading]:
        """Return one reading. Raises Absent without /proc/meminfo, Transient for garbage."""
        memory = self._info.read()
        used = memory.used_b
        values = {
            "mem_total": memory.total_b,
            "mem_available": memory.available_b,
            "mem_used": used,
            "mem_free": memory.free_b,
            "mem_cached": memory.cached_b,
            "mem_util": None if used is None else round(100.0 * used / memory.total_b, 2),
            "swap_total": memory.swap_total_b,
            "swap_used": memory.swap_used_b,
        }
        return [Reading({key: value for key, value in values.items() if value is not None})]


def sources(options: Options) -> list[Source]:
    """Return the memory."""
    return [MemorySource(options.root)]
