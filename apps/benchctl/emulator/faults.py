"""What can go wrong with a serial device, by name, and how it is asked for: ``NAME[:AMOUNT][@SECONDS]``."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of fault: its amount unless another is given, the unit and range of that, what it does."""

    amount: float
    unit: str
    lowest: float
    highest: float
    text: str


_INF = float("inf")

KINDS = {
    "late": Kind(400.0, "ms", 0.0, 60_000.0, "the next reply comes later by"),
    "short": Kind(1, "bytes", 1, 4096, "the next reply lacks its last"),
    "drop": Kind(1, "replies", 1, 1000, "no answer to the next requests, in number"),
    "split": Kind(2.0, "ms", 0.0, 1000.0, "the next reply comes in pieces of 64 bytes, apart by"),
    "welcome": Kind(1, "times", 1, 1, "an unasked welcome stands in front of the next reply"),
    "garbage": Kind(16, "bytes", 1, 4096, "chance bytes come at once, in number"),
    "silence": Kind(1.0, "s", 0.0, _INF, "no answer for"),
    "freeze": Kind(5.0, "s", 0.0, _INF, "the same values for"),
    "unplug": Kind(2.0, "s", 0.0, _INF, "the device is pulled out, and back as another pty after"),
    "bootloader": Kind(_INF, "s", 0.0, _INF, "only the boot loader answers, for"),
    "product": Kind(0x12, "id", 0, 255, "from now on it says to be of product"),
    "firmware": Kind(99, "number", 0, 255, "from now on it says to have firmware"),
}
ONE_REPLY = ("late", "short", "drop", "split", "welcome")
"""The kinds that befall one reply each, in the order in which they were asked for."""
WHOLE = frozenset({"bytes", "replies", "times", "id", "number"})


class LineFault(NamedTuple):
    """One fault: its kind and how much of it."""

    kind: str
    amount: float


def line_fault(kind: str, amount: float | None = None) -> LineFault:
    """Return a fault. Raises ValueError for an unknown kind or an amount out of its range."""
    if kind not in KINDS:
        raise ValueError(f"fault: found {kind!r}, expected one of {', '.join(KINDS)}")
    known = KINDS[kind]
    if amount is None:
        return LineFault(kind, known.amount)
    fits = known.lowest <= amount <= known.highest and (known.unit not in WHOLE or amount == int(amount))
    if not fits:
        raise ValueError(f"{kind}: found {amount:g}, expected {known.lowest:g} to {known.highest:g} {known.unit}")
    return LineFault(kind, amount)


def parse_fault(text: str) -> LineFault:
    """Return the fault that ``NAME``, ``NAME:AMOUNT`` or ``NAME AMOUNT`` asks for. Raises ValueError."""
    kind, *rest = text.replace(":", " ").split() or [""]
    if len(rest) > 1:
        raise ValueError(f"fault: found {text!r}, expected NAME[:AMOUNT]")
    return line_fault(kind, _number(kind, rest[0]) if rest else None)


def parse_scheduled(text: str) -> tuple[float, LineFault]:
    """Return after how many seconds which fault comes, from ``NAME[:AMOUNT]@SECONDS``. Raises ValueError."""
    what, at, seconds = text.rpartition("@")
    if not at:
        raise ValueError(f"fault: found {text!r}, expected NAME[:AMOUNT]@SECONDS")
    after_s = _number("seconds", seconds)
    if not 0.0 <= after_s < _INF:
        raise ValueError(f"fault: found {text!r}, expected seconds of at least 0 behind the @")
    return after_s, parse_fault(what)


def described() -> str:
    """Return one line for each kind of fault."""
    lines = (f"  {kind:10} {known.text} {_amount(known)}" for kind, known in KINDS.items())
    return "\n".join(line.rstrip() for line in lines)


def _amount(kind: Kind) -> str:
    if kind.lowest == kind.highest:
        return ""
    shown = "ever" if kind.amount == _INF else f"{kind.amount:g}"
    return f"({kind.unit}, {shown} unless said)"


def _number(name: str, text: str) -> float:
    try:
        return float(int(text, 16)) if text[:2].lower() == "0x" else float(text)
    except ValueError:
        raise ValueError(f"{name}: found {text!r}, expected a number") from None
