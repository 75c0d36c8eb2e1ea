"""Memory and swap, from /proc/meminfo.

Source: proc_meminfo(5). Sizes are bytes.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from benchlab.host.procfile import ProcFile

_FIELD = re.compile(
    rb"^(MemTotal|MemFree|MemAvailable|Cached|SReclaimable|SwapTotal|SwapFree): +(\d+) kB$", re.MULTILINE
)


class Memory(msgspec.Struct, frozen=True):
    """Memory of the host in bytes; None where this kernel does not say.

    ``available_b`` is the kernel's estimate of what programs can still get without swapping; ``used_b`` is
    the rest. ``cached_b`` is the page cache with the kernel's own reclaimable memory.
    """

    total_b: int
    free_b: int
    available_b: int | None
    cached_b: int | None
    swap_total_b: int | None
    swap_free_b: int | None

    @property
    def used_b(self) -> int | None:
        """Memory that is not available."""
        return None if self.available_b is None else self.total_b - self.available_b

    @property
    def swap_used_b(self) -> int | None:
        """Swap space in use."""
        if self.swap_total_b is None or self.swap_free_b is None:
            return None
        return self.swap_total_b - self.swap_free_b


class MemoryInfo:
    """Reads /proc/meminfo."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._file = ProcFile(root, "proc/meminfo")

    def read(self) -> Memory:
        """Return the memory now. Raises Absent or Transient."""
        data = self._file.read()
        fields = {name: int(kib) * 1024 for name, kib in _FIELD.findall(data)}
        total, free = fields.get(b"MemTotal"), fields.get(b"MemFree")
        if not total or free is None:
            raise self._file.garbage(data, "MemTotal and MemFree in kB")
        cached = fields.get(b"Cached")
        return Memory(
            total_b=total,
            free_b=free,
            available_b=fields.get(b"MemAvailable"),
            cached_b=None if cached is None else cached + fields.get(b"SReclaimable", 0),
            swap_total_b=fields.get(b"SwapTotal"),
            swap_free_b=fields.get(b"SwapFree"),
        )
