"""``--from`` and ``--to``: seconds from the pair's first row, or a time in ISO 8601."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone

from benchlab.capframex.bounds import Bound
from benchlab.errors import Exit, Fault

_NS_PER_S = 1_000_000_000
_EXPECTED = "expected seconds from the start, as 12.5, or a time, as 2025-11-11T14:30:00Z"


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
