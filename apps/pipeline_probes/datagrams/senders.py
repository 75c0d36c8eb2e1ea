"""What is missing by the numbering of those who send stages, and what they sent that was none: counted and told."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from benchlab.event import Value

log = logging.getLogger(__name__)

LOST = "stages_lost"
MALFORMED = "malformed_stage"
OTHERS = "others"

MAX_SENDERS = 4096
MAX_TOLD = 64
"""Lines that one report has at most; the others follow with the next."""
REPORT_NS = 1_000_000_000
"""Reports lie this far apart, so that a program that errs with every frame does not fill the log."""


class Sender:
    """One that sends lines; ``next_seq`` is the number that its next line ought to have, None while unknown."""

    __slots__ = ("name", "next_seq")

    def __init__(self, name: str) -> None:
        self.name = name
        self.next_seq: int | None = None


@dataclass
class _Untold:
    lost: int = 0
    malformed: int = 0
    detail: str = ""  # of the first malformed line


class Senders:
    """All senders. ``lost`` and ``malformed`` count lines; of either ``reports`` tells, sender by sender.

    ``since_ns`` is when the session began: what a sender lost earlier, no session was there to lose.
    At most ``MAX_SENDERS`` are remembered; the one that was silent for longest is forgotten first.
    """

    def __init__(self, since_ns: int) -> None:
        self.lost = 0
        self.malformed = 0
        self._since_ns = since_ns
        self._known: OrderedDict[str, Sender] = OrderedDict()
        self._untold: OrderedDict[str, _Untold] = OrderedDict()
        self._told_ns: int | None = None

    def __len__(self) -> int:
        """The number of senders that are remembered."""
        return len(self._known)

    def named(self, name: str) -> Sender:
        """Return the sender of that name, new if it was not known."""
        sender = self._known.get(name)
        if sender is None:
            sender = self._known[name] = Sender(name)
            if len(self._known) > MAX_SENDERS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(name)
        return sender

    def count(self, sender: Sender, seq: int) -> None:
        """Take note of the number of a line. A number that is not above the last one begins a new count."""
        expected, sender.next_seq = sender.next_seq, seq + 1
        if expected is not None and seq > expected:
            self._lose(sender, seq - expected)

    def count_up_to(self, sender: Sender, seq: int, ts_ns: int) -> None:
        """Take note that up to this number all was sent or is lost, as of a time."""
        expected = sender.next_seq
        if expected is not None or ts_ns >= self._since_ns:
            sender.next_seq = seq + 1
        if expected is not None and seq >= expected:
            self._lose(sender, seq + 1 - expected)

    def err(self, sender: Sender, detail: str) -> None:
        """Take note of a line that is none, and of what was found and expected."""
        self.malformed += 1
        untold = self._untold_of(sender)
        untold.malformed += 1
        untold.detail = untold.detail or detail

    def reports(self, now_ns: int, *, last: bool = False) -> Iterator[dict[str, Value]]:
        """Yield the fields of the ``gap`` lines that are due, all that are left if these are the ``last``."""
        if not self._untold or not (last or self._told_ns is None or now_ns - self._told_ns >= REPORT_NS):
            return
        self._told_ns = now_ns
        for _ in range(len(self._untold) if last else min(MAX_TOLD, len(self._untold))):
            name, untold = self._untold.popitem(last=False)
            if untold.lost:
                log.warning("%s: %d stages were lost on their way", name, untold.lost)
                yield {"n": untold.lost, "why": LOST, "sender": name}
            if untold.malformed:
                log.warning("%s: %d lines were left out: %s", name, untold.malformed, untold.detail)
                yield {"n": untold.malformed, "why": MALFORMED, "sender": name, "detail": untold.detail}

    def _lose(self, sender: Sender, count: int) -> None:
        self.lost += count
        self._untold_of(sender).lost += count

    def _untold_of(self, sender: Sender) -> _Untold:
        name = sender.name
        if name not in self._untold and len(self._untold) >= MAX_SENDERS:
            name = OTHERS
        return self._untold.setdefault(name, _Untold())
