"""``--from`` and ``--to``: seconds from the pair's first row, or a time in ISO 8601."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone

from benchlab.errors import Exit, Fault

_NS_PER_S = 1_000_000_000
_EXPECTED = "expected seconds from the start, as 12.5, or a time, as 2025-11-11T14:30:00Z"


@dataclass(frozen=True)
class Bound:
    """One end of the stretch to export; ``ns`` counts from the pair's first row if ``relative``."""

    ns: int
    relative: bool

    def on_timeline(self, first_ns: int) -> int:
        """Return the bound in ns of the session's timeline."""
        return first_ns + self.ns if self.relative else self.ns


def parse(flag: str, text: str) -> Bound:
    """Return the bound that a flag names; a time without a zone is UTC. Raises Fault (usage)."""
    try:
        seconds = float(text)
    except ValueError:
        return Bound(_iso_ns(flag, text), relative=False)
    if not 0 <= seconds < 1e9 or math.isnan(seconds):
        raise Fault(f"{flag} {text}: {_EXPECTED}; seconds are not negative", Exit.USAGE)
    return Bound(round(seconds * _NS_PER_S), relative=True)


def _iso_ns(flag: str, text: str) -> int:
    zoned = text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text
    exact = re.sub(r"\.(\d{1,6})\d*", lambda fraction: "." + fraction[1].ljust(6, "0"), zoned)
    try:
        when = datetime.fromisoformat(exact)  # before Python 3.11 only with 3 or 6 digits of a second
    except ValueError:
        raise Fault(f"{flag} {text}: {_EXPECTED}", Exit.USAGE) from None
    when = when.replace(tzinfo=timezone.utc) if when.tzinfo is None else when.astimezone(timezone.utc)
    since = when - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


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
