"""Machines that do not answer: left out of every poll, and asked alone, at growing distances, until they do."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from time import monotonic_ns

from benchlab.daemon.schedule import Backoff
from vmstatd.calls import Call

BACKOFF_S = (1.0, 30.0)

Ask = Callable[[str], bool]
"""Asks one machine by its uuid, on a connection of its own; returns whether it answered as it should."""


@dataclass
class _Stuck:
    name: str
    call: Call[bool]
    backoff: Backoff
    due_ns: int = 0


class Quarantine:
    """The machines that hang, each with the one call that waits for it: while that is out, no other is made."""

    def __init__(self, ask: Ask, backoff_s: tuple[float, float] = BACKOFF_S) -> None:
        self._ask = ask
        self._backoff_s = backoff_s
        self._stuck: dict[str, _Stuck] = {}

    def __contains__(self, uuid: str) -> bool:
        return uuid in self._stuck

    def uuids(self) -> frozenset[str]:
        """Return the machines that are in it."""
        return frozenset(self._stuck)

    def add(self, uuid: str, name: str, call: Call[bool]) -> None:
        """Take in a machine that a call waits for; the call returns true once it has answered."""
        self._stuck[uuid] = _Stuck(name, call, Backoff(*self._backoff_s))

    def keep(self, listed: Container[str]) -> None:
        """Forget the machines that there are no more."""
        self._stuck = {uuid: stuck for uuid, stuck in self._stuck.items() if uuid in listed}

    def release(self) -> dict[str, str]:
        """Return the machines (name by uuid) that answer again, which are free; ask the others anew if it is time."""
        freed = {}
        for uuid, stuck in list(self._stuck.items()):
            if not stuck.call.has_ended:
                continue
            if _answered(stuck.call):
                freed[uuid] = self._stuck.pop(uuid).name
            elif stuck.due_ns == 0:
                stuck.due_ns = monotonic_ns() + stuck.backoff.next_ns()
            elif monotonic_ns() >= stuck.due_ns:
                stuck.due_ns = 0
                stuck.call = self._again(uuid)
        return freed

    def _again(self, uuid: str) -> Call[bool]:
        return Call(lambda: self._ask(uuid))


def _answered(call: Call[bool]) -> bool:
    try:
        return call.result()
    except Exception:  # of a connection that was lost meanwhile, most likely: ask again
        return False
