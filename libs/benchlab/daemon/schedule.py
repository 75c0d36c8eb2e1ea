"""When the next sample is due: absolute deadlines, so that nothing drifts, and back-off after failures."""

from __future__ import annotations

NS = 1_000_000_000


class Schedule:
    """Deadlines at ``start_ns`` + n periods.

    Those that passed while a sample took too long are skipped and counted, never made up for in a bunch.
    """

    def __init__(self, period_s: float, start_ns: int) -> None:
        self.period_ns = max(1, round(period_s * NS))
        self.due_ns = start_ns
        self.skipped = 0

    def advance(self, now_ns: int) -> None:
        """Move on to the first deadline after the one that was served and not before now."""
        self.due_ns += self.period_ns
        if (behind_ns := now_ns - self.due_ns) > 0:
            missed = -(-behind_ns // self.period_ns)
            self.skipped += missed
            self.due_ns += missed * self.period_ns

    def postpone(self, until_ns: int) -> None:
        """Move on to the first deadline at or after a time, counting nothing: the wait is deliberate."""
        if (ahead_ns := until_ns - self.due_ns) > 0:
            self.due_ns += -(-ahead_ns // self.period_ns) * self.period_ns


class AtOnce(Schedule):
    """The schedule of a source that waits for events itself: always due, unless postponed after a failure."""

    def __init__(self, start_ns: int) -> None:
        super().__init__(0.0, start_ns)

    def advance(self, now_ns: int) -> None:
        """Be due again now."""
        self.due_ns = now_ns

    def postpone(self, until_ns: int) -> None:
        """Be due at this time."""
        self.due_ns = until_ns


class Backoff:
    """Growing waits between attempts: ``first_s``, then twice as long each time, up to ``most_s``."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def next_ns(self) -> int:
        """Return the wait in nanoseconds before the next attempt."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._most_s)
        return round(wait_s * NS)

    def reset(self) -> None:
        """Begin anew: the last attempt succeeded."""
        self._next_s = self._first_s
