"""What a run has done: what was freed, what was kept and why, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from benchlab.errors import Exit
from retentiond.protection import UNREADABLE, Kept

YOUNG = "within its days"

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Freed(msgspec.Struct):
    """One thing that was deleted; ``early``: before its time, because the disk was full."""

    session: str
    bytes: int
    early: bool = False


@dataclass
class Report:
    """One run. With ``dry_run``, what it would have done."""

    dry_run: bool
    sessions: list[Freed] = field(default_factory=list)
    raw_folders: list[Freed] = field(default_factory=list)
    leftovers: list[Freed] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    min_free_bytes: int = 0
    free_bytes: int | None = None

    @property
    def freed_bytes(self) -> int:
        """Return how much disk was freed."""
        return sum(freed.bytes for freed in (*self.sessions, *self.raw_folders, *self.leftovers))

    @property
    def is_short(self) -> bool:
        """Return whether there is still less free space than is to be kept."""
        return self.free_bytes is not None and self.free_bytes < self.min_free_bytes

    @property
    def code(self) -> Exit:
        """Return the exit code this stands for."""
        unreadable = any(kept.reason == UNREADABLE for kept in self.kept.values())
        return Exit.FINDING if self.failed or unreadable or self.is_short else Exit.OK

    def by_reason(self) -> dict[str, int]:
        """Return how many sessions were kept for which reason, the most frequent first."""
        return dict(Counter(kept.reason for kept in self.kept.values()).most_common())

    def as_json(self) -> str:
        """Return the report as one line of JSON."""
        told = {name: kept for name, kept in self.kept.items() if kept.reason != YOUNG}
        document = {
            "dry_run": self.dry_run,
            "freed": {
                "bytes": self.freed_bytes,
                "sessions": len(self.sessions),
                "raw_folders": len(self.raw_folders),
                "leftovers": len(self.leftovers),
            },
            "kept": self.by_reason(),
            "deleted_sessions": self.sessions,
            "deleted_raw": self.raw_folders,
            "kept_sessions": [{"session": name, "reason": k.reason, "detail": k.detail} for name, k in told.items()],
            "failed": [{"session": name, "reason": why} for name, why in self.failed.items()],
            "free_bytes": self.free_bytes,
        }
        return msgspec.json.encode(document).decode()

    def lines(self) -> Iterator[str]:
        """Yield the report for people: what was deleted, what outlives its time, the sums."""
        done = "would be deleted" if self.dry_run else "deleted"
        for what, found in (("session", self.sessions), ("raw data of", self.raw_folders), ("rest of", self.leftovers)):
            for freed in found:
                early = ", before its time: the disk is full" if freed.early else ""
                yield f"{what} {freed.session} {done}: {human(freed.bytes)}{early}"
        for name, kept in self.kept.items():
            if kept.reason != YOUNG:
                yield f"session {name} kept: {kept.detail}"
        yield self._summary()

    def findings(self) -> Iterator[str]:
        """Yield what somebody should look after."""
        for name, why in self.failed.items():
            yield f"{name} {why}"
        if self.is_short:
            free, wanted = human(self.free_bytes or 0), human(self.min_free_bytes)
            yield f"{free} free, expected {wanted} (retention.min_free_gb): nothing is left that may be deleted"

    def _summary(self) -> str:
        freed = f"{human(self.freed_bytes)} {'would be freed' if self.dry_run else 'freed'}"
        parts = f"{_count(len(self.sessions), 'session')}, {_count(len(self.raw_folders), 'raw folder')}"
        reasons = ", ".join(f"{n} {reason}" for reason, n in self.by_reason().items())
        kept = f"{_count(len(self.kept), 'session')} kept" + (f" ({reasons})" if reasons else "")
        return f"{freed}: {parts}; {kept}; {len(self.failed)} failed"


def human(size: int) -> str:
    """Return a size in the unit that people would use, of 1000 each."""
    value = float(size)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
