"""The rule that one line alone never moves a stream more than an hour forward."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from benchlab.log.lines import BadLine, bad_line

HOUR_NS = 3_600_000_000_000


class Timed(Protocol):
    """What has a time on the session's timeline."""

    ts_ns: int


R = TypeVar("R", bound=Timed)

_times = attrgetter("ts_ns")


@dataclass(frozen=True)
class Candidate(Generic[R]):
    """A good line on trial: its row, its offset and its bytes without the newline."""

    row: R
    offset: int
    line: bytes


class TimeGuard(Generic[R]):
    """Holds a line that jumps more than an hour above all before it until the next good line agrees.

    The next line agrees if it lies no more than an hour below the held one; otherwise the held one is bad.
    The first line of a stream has nothing before it and is held likewise. So the verdict on a line depends on
    the lines of its file alone, never on how they were read.
    """

    def __init__(self) -> None:
        self.highest_ns: int | None = None
        self.held: Candidate[R] | None = None

    def passes(self, rows: list[R]) -> bool:
        """Admit all rows at a glance; return False, with nothing admitted, if some need a closer look."""
        if self.held is not None or self.highest_ns is None:
            return not rows
        newest = max(map(_times, rows), default=self.highest_ns)
        if newest > self.highest_ns + HOUR_NS:
            return False
        self.highest_ns = max(self.highest_ns, newest)
        return True

    def admit(self, candidate: Candidate[R]) -> tuple[list[Candidate[R]], BadLine | None]:
        """Judge one row. Return the rows that are now good, and the held line if this one convicts it."""
        good: list[Candidate[R]] = []
        bad = None
        held, self.held = self.held, None
        if held is not None:
            if candidate.row.ts_ns >= held.row.ts_ns - HOUR_NS:
                good.append(self._accept(held))
            else:
                bad = _far_future(held)
        if self.highest_ns is None or candidate.row.ts_ns > self.highest_ns + HOUR_NS:
            self.held = candidate
        else:
            good.append(self._accept(candidate))
        return good, bad

    def flush(self) -> tuple[list[Candidate[R]], BadLine | None]:
        """Decide a held line that nothing will follow: good if it is the only one of its stream, else bad."""
        held, self.held = self.held, None
        if held is None:
            return [], None
        if self.highest_ns is None:
            return [self._accept(held)], None
        return [], _far_future(held)

    def _accept(self, candidate: Candidate[R]) -> Candidate[R]:
        ts_ns = candidate.row.ts_ns
        self.highest_ns = ts_ns if self.highest_ns is None else max(self.highest_ns, ts_ns)
        return candidate


def _far_future(held: Candidate[R]) -> BadLine:
    detail = f"ts_ns {held.row.ts_ns} is more than an hour above the lines around it"
    return bad_line(held.offset, held.line, "far_future", detail)
