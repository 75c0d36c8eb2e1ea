"""When a frame was captured, where it says so itself: by its reference timestamp, or by V4L2's timestamp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchlab.clock import SessionClock, difference_ns, monotonic_ns
from pipeline_probes.gst.native import Library, ReferenceTimestamp

NS = 1_000_000_000
NTP_TO_UNIX_S = 2_208_988_800  # RFC 5905: 1900 to 1970
CAPTURE_SOURCES = frozenset({"v4l2src"})
"""Elements whose timestamps are the capture's own, in the time of the pipeline's clock."""
OLDEST_NS = 10 * NS
_MEASURE_NS = NS


class Reference(NamedTuple):
    """A reference timestamp: ns since its epoch, and how much that epoch is before Unix time."""

    timestamp_ns: int
    before_unix_ns: int


class References:
    """Finds the reference timestamp of a buffer, of those kinds that can be put on the timeline.

    ``timestamp/x-unix`` is nanoseconds since 1970, ``timestamp/x-ntp`` since 1900. Others count on a clock of
    the device's own. Source: gstreamer.freedesktop.org, "Reference timestamps", GstReferenceTimestampMeta.
    """

    def __init__(self, library: Library) -> None:
        self._find: Callable[[int, Any], int | None] = library.gst_buffer_get_reference_timestamp_meta
        epochs = {"timestamp/x-unix": 0, "timestamp/x-ntp": NTP_TO_UNIX_S * NS}
        self._kinds = [(library.gst_caps_from_string(name.encode()), ns) for name, ns in epochs.items()]

    def of(self, buffer: int) -> Reference | None:
        """Return the reference timestamp of the buffer at an address, None if it has none of use."""
        if not self._find(buffer, None):
            return None
        for caps, before_unix_ns in self._kinds:
            if (found := self._find(buffer, caps)) is not None:
                return Reference(ReferenceTimestamp.from_address(found).timestamp, before_unix_ns)
        return None


class CaptureTime:
    """Puts capture times on the session's timeline.

    ``pipeline_ns`` reads the pipeline's clock; it is compared with CLOCK_MONOTONIC every second, because a
    pipeline may run by the clock of an audio device or of the network.
    """

    def __init__(self, clock: SessionClock, pipeline_ns: Callable[[], int]) -> None:
        self._clock = clock
        self._pipeline_ns = pipeline_ns
        self._measured_ns: int | None = None
        self._ahead_ns = self._ahead_unc_ns = 0

    def of_reference(self, reference: Reference) -> tuple[int, int]:
        """Return a reference timestamp on the timeline and the uncertainty of the two clocks' difference.

        It is the wall clock's time; of another host's clock nothing more is known than that.
        """
        ahead_ns, unc_ns = self._clock.wall_offset_ns()
        return reference.timestamp_ns - reference.before_unix_ns - ahead_ns, unc_ns

    def of_running_time(self, base_ns: int, running_ns: int) -> tuple[int, int]:
        """Return on the timeline when the pipeline, begun at ``base_ns``, was so old; and the uncertainty."""
        now_ns = monotonic_ns()
        if self._measured_ns is None or now_ns - self._measured_ns > _MEASURE_NS:
            self._ahead_ns, self._ahead_unc_ns = difference_ns(self._pipeline_ns, monotonic_ns)
            self._measured_ns = now_ns
        return self._clock.from_monotonic_ns(base_ns + running_ns - self._ahead_ns), self._ahead_unc_ns


def is_plausible(capture_ns: int, unc_ns: int, seen_ns: int) -> bool:
    """Return whether a frame seen at a time can have been captured at another: before, and not for ages."""
    return -unc_ns <= seen_ns - capture_ns <= OLDEST_NS
