"""What a request asks for: times, points, pages; and one clear 400 for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from starlette.requests import Request

from webd.errors import Refusal

MOST_POINTS = 10_000
POINTS = 1000
MOST_LISTED = 500
LISTED = 100

FOREVER_NS = 2**63 - 1

_NS_PER_US = 1000


@dataclass(frozen=True)
class Stretch:
    """A stretch of time from one microsecond to another, both of them in it; None does not restrict."""

    from_us: int | None
    to_us: int | None

    @property
    def from_ns(self) -> int:
        """Return the first nanosecond."""
        return 0 if self.from_us is None else self.from_us * _NS_PER_US

    @property
    def to_ns(self) -> int:
        """Return the first nanosecond behind the stretch."""
        return FOREVER_NS if self.to_us is None else (self.to_us + 1) * _NS_PER_US


def stretch_of(request: Request) -> Stretch:
    """Return the stretch that ``from`` and ``to`` (epoch ms) name. Raises Refusal (400)."""
    query = request.query_params
    found = Stretch(_us(query, "from"), _us(query, "to"))
    if found.from_us is not None and found.to_us is not None and found.from_us > found.to_us:
        raise Refusal(400, f"from={query['from'][:40]} lies behind to={query['to'][:40]}, expected it before")
    return found


def _us(query: Mapping[str, str], name: str) -> int | None:
    """Return a time in whole microseconds; more digits are cut, as those of answers are."""
    text = query.get(name)
    if text is None or text == "":
        return None
    try:
        ms = Decimal(text)
        us = int(ms * 1000) if ms.is_finite() and abs(ms) < Decimal(10**15) else -1
    except (InvalidOperation, ValueError):
        us = -1
    if not 0 <= us < FOREVER_NS // _NS_PER_US:
        raise Refusal(400, f"{name}: found {text[:40]!r}, expected a time in ms since 1970, as 1763800000133.957")
    return us


def points_of(request: Request) -> int:
    """Return how many points are wanted at most. Raises Refusal (400)."""
    return _number(request, "points", POINTS, 1, MOST_POINTS)


def page_of(request: Request) -> tuple[int, int]:
    """Return ``limit`` and ``offset`` of a list. Raises Refusal (400)."""
    return _number(request, "limit", LISTED, 1, MOST_LISTED), _number(request, "offset", 0, 0, 10**9)


def flag_of(request: Request, name: str) -> bool:
    """Return whether a switch is on. Raises Refusal (400)."""
    text = request.query_params.get(name, "0")
    if text not in ("0", "1"):
        raise Refusal(400, f"{name}: found {text[:40]!r}, expected 0 or 1")
    return text == "1"


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name) or str(default)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    if not least <= number <= most:
        raise Refusal(400, f"{name}: found {text[:40]!r}, expected a whole number from {least} to {most}")
    return number


def ms(ts_ns: int) -> float:
    """Return a time in ms since 1970, cut to whole microseconds."""
    return ts_ns // _NS_PER_US / 1000


def ms_or_none(ts_ns: int | None) -> float | None:
    """Return a time as ``ms`` does; None where there is none."""
    return None if ts_ns is None else ms(ts_ns)
