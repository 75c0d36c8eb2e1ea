"""Whole disks, from /proc/diskstats.

Source: Documentation/admin-guide/iostats.rst of the Linux kernel. A sector there is always 512 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns

import msgspec

from benchlab.host.procfile import ProcFile, Rates

SECTOR_B = 512

_NOT_A_DISK = re.compile(r"(loop|ram|zram|dm-|md|sr|fd)\d")
"""Memory, images, removable media without one, and what is made of other disks and would count twice."""
_PARTITION = re.compile(r"(.*\dp|[a-z]+d[a-z]+)\d+$")
_MIN_FIELDS = 14


class Disk(msgspec.Struct, frozen=True):
    """One disk: bytes and requests since boot, requests in hand, and what is known since the reading before.

    Rates are per second, waits milliseconds per request, ``busy`` percent; a wait needs a request.
    """

    read_b: int
    write_b: int
    in_flight: int
    reads: int
    writes: int
    read_b_s: float | None
    write_b_s: float | None
    reads_s: float | None
    writes_s: float | None
    read_wait_ms: float | None
    write_wait_ms: float | None
    busy: float | None


class Disks:
    """Reads the whole disks that have ever done anything."""

    def __init__(self, root: Path = Path("/"), monotonic: Callable[[], int] = monotonic_ns) -> None:
        self._file = ProcFile(root, "proc/diskstats")
        self._block = root / "sys/block"
        self._monotonic = monotonic
        self._whole: dict[str, bool] = {}
        self._rates: dict[str, Rates] = {}

    def read(self) -> dict[str, Disk]:
        """Return the disks by name. Raises Absent or Transient."""
        data = self._file.read()
        now_ns = self._monotonic()
        try:
            rows = {_name(fields): fields for fields in map(bytes.split, data.splitlines())}
            self._whole = {name: self._is_whole(name) for name in rows}
            parsed = {name: _parse(rows[name]) for name, whole in self._whole.items() if whole}
        except (ValueError, IndexError):
            raise self._file.garbage(data, f"at least {_MIN_FIELDS} fields a line") from None
        found = {name: stats for name, stats in parsed.items() if _used(stats)}
        self._rates = {name: self._rates.get(name) or Rates() for name in found}
        return {name: _disk(stats, self._rates[name].update(stats, now_ns)) for name, stats in found.items()}

    def _is_whole(self, name: str) -> bool:
        known = self._whole.get(name)
        if known is not None:
            return known
        if _NOT_A_DISK.match(name):
            return False
        if self._block.is_dir():
            return (self._block / name.replace("/", "!")).exists()
        return not _PARTITION.match(name)


def _name(fields: list[bytes]) -> str:
    if len(fields) < _MIN_FIELDS:
        raise ValueError("too short")
    return fields[2].decode("ascii", "backslashreplace")


def _parse(fields: list[bytes]) -> dict[str, int]:
    reads, _, read_sectors, read_ms, writes, _, write_sectors, write_ms, in_flight, busy_ms, _ = (
        int(field) for field in fields[3:_MIN_FIELDS]
    )
    return {
        "reads": reads,
        "read_b": read_sectors * SECTOR_B,
        "read_ms": read_ms,
        "writes": writes,
        "write_b": write_sectors * SECTOR_B,
        "write_ms": write_ms,
        "in_flight": in_flight,
        "busy_ms": busy_ms,
    }


def _used(stats: dict[str, int]) -> bool:
    return stats["reads"] > 0 or stats["writes"] > 0


def _disk(stats: dict[str, int], rates: dict[str, float]) -> Disk:
    busy = rates.get("busy_ms")
    return Disk(
        read_b=stats["read_b"],
        write_b=stats["write_b"],
        in_flight=stats["in_flight"],
        reads=stats["reads"],
        writes=stats["writes"],
        read_b_s=rates.get("read_b"),
        write_b_s=rates.get("write_b"),
        reads_s=rates.get("reads"),
        writes_s=rates.get("writes"),
        read_wait_ms=_quotient(rates.get("read_ms"), rates.get("reads")),
        write_wait_ms=_quotient(rates.get("write_ms"), rates.get("writes")),
        # counted in whole ticks, so over a short time it can come out a little above all of it
        busy=None if busy is None else min(100.0, busy / 10.0),
    )


def _quotient(upper: float | None, lower: float | None) -> float | None:
    return None if upper is None or not lower else upper / lower
