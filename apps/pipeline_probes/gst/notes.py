"""What a probe does for every buffer, in the pipeline's own thread: as little as possible, because it is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from ctypes import c_uint, c_uint64, c_void_p
from time import monotonic_ns
from typing import Any, Literal

from pipeline_probes.gst import native
from pipeline_probes.gst.capture_time import Reference, References
from pipeline_probes.gst.running_time import NONE

Note = tuple[int, int, Any, Any]
"""CLOCK_MONOTONIC in ns, number of the stage, what passed, and of a buffer its Reference, or HEADER, or None.

What passed is the pts of a buffer (an integer), a Segment, the text of new caps, or FLUSH.
"""

HEADER = "header"
"""A buffer without a time that is no frame: a codec's parameters."""
FLUSH = None
MOST_NOTES = 1 << 16
MOST_VIEWS = 1 << 12

OnProbe = Callable[[int, int], int]

_DATA: int = native.ProbeInfo.data.offset  # type: ignore[attr-defined]
_PTS: int = native.Buffer.pts.offset  # type: ignore[attr-defined]
_FLAGS: int = native.MiniObject.flags.offset  # type: ignore[attr-defined]


class Views(dict[int, "memoryview[int]"]):
    """The memory at an address as one number of a format, kept: buffers come from a pool, and their places return.

    Making a view costs several times what reading through one does, most of all when the processor comes from sleep.
    """

    def __init__(self, kind: Any, letter: Literal["P", "Q"]) -> None:
        super().__init__()
        self._kind = kind * 1
        self._letter = letter

    def __missing__(self, address: int) -> memoryview[int]:
        """Return a new view."""
        if len(self) >= MOST_VIEWS:
            self.clear()
        view: memoryview[int] = memoryview(self._kind.from_address(address)).cast("B").cast(self._letter)
        self[address] = view
        return view


class Lookout:
    """Looks for reference timestamps while ``is_on``: somebody else turns it on now and then, and a find keeps it on.

    Most pipelines have none, and each look would cost more than all the rest of a probe.
    """

    __slots__ = ("_references", "is_on")

    def __init__(self, references: References) -> None:
        self.is_on = True
        self._references = references

    def look(self, buffer: int) -> Reference | None:
        """Return the reference timestamp of the buffer at an address, None if it has none of use."""
        found = self._references.of(buffer)
        self.is_on = found is not None
        return found


def on_buffer(number: int, notes: deque[Note], lookout: Lookout) -> OnProbe:
    """Return the callback for the buffers of a stage."""
    append, now_ns = notes.append, monotonic_ns
    pointers, times = Views(c_void_p, "P"), Views(c_uint64, "Q")

    def _on_buffer(pad: int, info: int) -> int:
        seen_ns = now_ns()
        buffer = pointers[info + _DATA][0]
        pts = times[buffer + _PTS][0]
        extra = lookout.look(buffer) if lookout.is_on else None
        append((seen_ns, number, pts, extra if pts != NONE else _header(buffer)))
        return 1

    return _on_buffer


def on_list(number: int, notes: deque[Note], lookout: Lookout, library: native.Library) -> OnProbe:
    """Return the callback for lists of buffers: most often one frame in many packets, which is noted once."""

    def _on_list(pad: int, info: int) -> int:
        seen_ns = monotonic_ns()
        buffers = c_void_p.from_address(info + _DATA).value
        before = None
        for index in range(library.gst_buffer_list_length(buffers)):
            buffer: int = library.gst_buffer_list_get(buffers, index)
            pts = c_uint64.from_address(buffer + _PTS).value
            if pts != before:
                extra = lookout.look(buffer) if lookout.is_on else None
                notes.append((seen_ns, number, pts, extra if pts != NONE else _header(buffer)))
            before = pts
        return native.PROBE_OK

    return _on_list


def _header(buffer: int) -> str | None:
    return HEADER if c_uint.from_address(buffer + _FLAGS).value & native.FLAG_HEADER else None
