"""One timeline for all processes of a host: CLOCK_BOOTTIME plus an anchor taken once a session.

CLOCK_BOOTTIME never steps and counts through suspend; NTP disciplines its rate as it does the wall clock's.
So the difference of the two moves only when somebody sets the wall clock.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

from benchlab.errors import Exit, Fault

Clock = Callable[[], int]

STEP_NS = 10_000_000
"""A wall clock that moved further than this against the timeline was set, not disciplined."""

_BRACKETS = 7
_SUSPEND_NS = 1_000_000
_STA_UNSYNC = 0x40
_BOOT_ID = "proc/sys/kernel/random/boot_id"


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_ns() -> int:
    """Return the wall clock as Unix nanoseconds."""
    return time.time_ns()


def monotonic_ns() -> int:
    """Return CLOCK_MONOTONIC, the clock of GStreamer and V4L2, in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def boot_id(root: Path = Path("/")) -> str:
    """Return the id the kernel gave to this boot.

    Raises Fault (IO) where it cannot be read. Source: proc_sys_kernel(5), random/boot_id.
    """
    path = root / _BOOT_ID
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"cannot read the boot id from {path}: {error}", Exit.IO) from error
    if not found:
        raise Fault(f"{path} is empty, expected the id of this boot", Exit.IO)
    return found


class _Timex(ctypes.Structure):
    """``struct timex`` up to the field read here. Source: adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),  # at least as long as any libc's
    )
    status: int


def is_synchronised() -> bool | None:
    """Return whether the kernel says that the wall clock is synchronised, None where it cannot be asked."""
    query = _Timex()
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.byref(query))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else not query.status & _STA_UNSYNC


def difference_ns(upper: Clock, lower: Clock, brackets: int = _BRACKETS) -> tuple[int, int]:
    """Return ``upper - lower`` in nanoseconds and the half-width of the interval that holds it.

    ``upper`` is read between two readings of ``lower``; the narrowest of a few brackets wins, so that being
    scheduled away in the middle of one does no harm.
    """
    return min((_bracket(upper, lower) for _ in range(brackets)), key=lambda found: found[1])


def _bracket(upper: Clock, lower: Clock) -> tuple[int, int]:
    before = lower()
    between = upper()
    width = lower() - before
    return between - before - width // 2, (width + 1) // 2


def monotonic_to_boottime_ns(monotonic: Clock = monotonic_ns, boottime: Clock = boottime_ns) -> tuple[int, int]:
    """Return what to add to a CLOCK_MONOTONIC time to get CLOCK_BOOTTIME, and its uncertainty, both in ns."""
    return difference_ns(boottime, monotonic)


class SessionClock:
    """The timeline of a session, in Unix nanoseconds.

    ``anchor_ns`` is what to add to ``read``. The wall clock is only looked at to report that it was set: it
    never moves the timeline.
    """

    def __init__(
        self,
        anchor_ns: int,
        read: Clock = boottime_ns,
        wall: Clock = wall_ns,
        monotonic: Clock = monotonic_ns,
    ) -> None:
        self.anchor_ns = anchor_ns
        self._read = read
        self._wall = wall
        self._monotonic = monotonic
        self._monotonic_offset_ns: int | None = None
        self._reported_ns = self.wall_offset_ns()[0]

    def now_ns(self) -> int:
        """Return the present on the timeline."""
        return self._read() + self.anchor_ns

    def from_monotonic_ns(self, t_ns: int) -> int:
        """Return the timeline's time of a CLOCK_MONOTONIC time.

        The offset is kept until the two clocks really parted (the host slept), so that measuring it anew
        adds no noise to the distance of two converted times.
        """
        measured, _ = monotonic_to_boottime_ns(self._monotonic, self._read)
        kept = self._monotonic_offset_ns
        if kept is None or abs(measured - kept) > _SUSPEND_NS:
            self._monotonic_offset_ns = kept = measured
        return t_ns + kept + self.anchor_ns

    def wall_offset_ns(self) -> tuple[int, int]:
        """Return by how much the wall clock is ahead of the timeline, and the uncertainty of that."""
        return difference_ns(self._wall, self.now_ns)

    def step_ns(self) -> int | None:
        """Return by how much the wall clock was set since creation or the last step returned, else None.

        Less than 10 ms is no step by itself, but adds up.
        """
        offset_ns, unc_ns = self.wall_offset_ns()
        step = offset_ns - self._reported_ns
        if abs(step) <= STEP_NS + unc_ns:
            return None
        self._reported_ns = offset_ns
        return step
