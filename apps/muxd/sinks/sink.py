"""What a sink is: something that takes rows of the log, and remembers together with them how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from benchlab.event import Aligned, Event
from muxd.sinks.cursor import Cursors


class Record(msgspec.Struct, frozen=True, gc=False):
    """A row of the log and where it stands: ``stream`` is the file within the session, ``offset`` a byte in it."""

    stream: str
    offset: int
    event: Event | Aligned


class Transient(Exception):
    """It cannot be done now; the same is tried again, after ``retry_after_s`` if the other side asked for that."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Rejected(Exception):
    """These records can never be taken; nothing of the batch was stored. They go to the dead letters, the rest again.

    ``reason`` is a word of a small fixed set, ``detail`` says more in the words of whoever refused.
    """

    def __init__(self, records: Sequence[Record], reason: str, detail: str = "") -> None:
        super().__init__(f"{len(records)} record(s) rejected: {reason}")
        self.records = records
        self.reason = reason
        self.detail = detail


class StoreChanged(Exception):
    """What was stored is gone or not what the sink left there: it has to be opened again, to see where it stands."""


class Sink(Protocol):
    """One place where rows are kept. All methods are called by one thread, and may raise Transient.

    A method returns or raises within seconds, so that the sink can be stopped. A sink that has an attribute ``poll_s``
    is given what came in so many seconds at once, one with ``chunk_bytes`` up to so many bytes of each file.
    """

    def open(self) -> Cursors:
        """Open the store, made if it is missing, and return how far it has come: nothing if that is not known."""

    def write(self, batch: Sequence[Record], cursors: Cursors) -> None:
        """Store the records and how far the log is then read: both or, as far as the store can tell, neither.

        Raises Rejected, StoreChanged.
        """

    def clear(self) -> None:
        """Forget all rows of this session: they are written again from the first one. Raises StoreChanged."""

    def close(self) -> None:
        """Let go of the store."""
