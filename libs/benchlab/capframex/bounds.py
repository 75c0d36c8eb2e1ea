"""The stretch of time to export: from the pair's first row, or on the session's timeline."""

from __future__ import annotations

from dataclasses import dataclass

from benchlab.errors import Exit, Fault


@dataclass(frozen=True)
class Bound:
    """One end of the stretch to export; ``ns`` counts from the pair's first row if ``relative``."""

    ns: int
    relative: bool

    def on_timeline(self, first_ns: int) -> int:
        """Return the bound in ns of the session's timeline."""
        return first_ns + self.ns if self.relative else self.ns


def span(start: Bound | None, end: Bound | None, first_ns: int) -> tuple[int | None, int | None]:
    """Return both ends in ns of the session's timeline. Raises Fault (usage) if they are in disorder."""
    from_ns = start.on_timeline(first_ns) if start else None
    to_ns = end.on_timeline(first_ns) if end else None
    if from_ns is not None and to_ns is not None and from_ns >= to_ns:
        raise Fault(
            "--from and --to: found an end that is not after the start, expected a stretch of time",
            Exit.USAGE,
        )
    return from_ns, to_ns
