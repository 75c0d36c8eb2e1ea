"""Running time: what stays the same of a frame from pad to pad, whatever its elements do to the timestamps."""

from __future__ import annotations

from typing import NamedTuple

NONE = 2**64 - 1
"""GST_CLOCK_TIME_NONE: no time."""


class Segment(NamedTuple):
    """What of a GstSegment in TIME format decides the running time; times in ns. Source: gstsegment.h."""

    rate: float
    base: int
    offset: int
    start: int
    stop: int
    duration: int


def running_time_ns(segment: Segment, pts_ns: int) -> int | None:
    """Return the running time of a timestamp, negative before the segment begins; None where it has none.

    Source: gst_segment_to_running_time_full().
    """
    if pts_ns == NONE:
        return None
    if segment.rate > 0.0:
        passed_ns = pts_ns - segment.start - segment.offset
    else:
        stop = segment.stop
        if stop == NONE and segment.duration != NONE:
            stop = segment.start + segment.duration
        if stop == NONE or segment.rate == 0.0:
            return None
        passed_ns = stop - segment.offset - pts_ns
    if (rate := abs(segment.rate)) != 1.0:
        passed_ns = int(passed_ns / rate)
    return passed_ns + segment.base


class Epochs:
    """Presentation times that never return, though the running time does: after a restart, and after a flush.

    An epoch is what lies between. All stages count the same epochs, so the first stage to enter one says where
    it begins, and the others follow.
    """

    def __init__(self) -> None:
        self._starts: list[int] = [0]
        self._first_ns: int | None = None
        self._highest_ns = 0

    def pts_ns(self, epoch: int, running_ns: int, now_ns: int) -> int:
        """Return the presentation time of a running time in an epoch: the running time itself in the first.

        ``now_ns`` is when the buffer was seen, on any clock that only goes forward.
        """
        if self._first_ns is None:
            self._first_ns = now_ns
        while epoch >= len(self._starts):
            self._starts.append(max(now_ns - self._first_ns, self._highest_ns + 1))
        pts_ns = self._starts[epoch] + running_ns
        self._highest_ns = max(self._highest_ns, pts_ns)
        return pts_ns
