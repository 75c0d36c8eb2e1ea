"""A probe on one pad: notes what passes and when, in the pipeline's own thread, and leaves the rest for later."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from time import monotonic_ns
from typing import Any

from pipeline_probes import native
from pipeline_probes.capture_time import References
from pipeline_probes.native import Buffer, ProbeInfo
from pipeline_probes.running_time import Segment
from pipeline_probes.stage_spec import StageSpec

Note = tuple[int, int, Any, int, Any]
"""CLOCK_MONOTONIC in ns, number of the tap, what passed, its buffer flags, its reference timestamp.

What passed is the pts of a buffer (an integer), a Segment, the text of new caps, or FLUSH.
"""

FLUSH = None
MOST_NOTES = 1 << 16

_keep_thread_state = ctypes.pythonapi.PyGILState_Ensure


class _Thread(threading.local):
    """Whether this thread's Python state is kept from one callback to the next."""

    kept = False


class Tap:
    """The probes of one stage. ``attach`` puts them on its pad; notes go to ``notes``, oldest first.

    A note costs a few microseconds. A thread of GStreamer gets a new Python state for every callback, which costs
    several times as much, so each keeps its first one.
    """

    def __init__(
        self,
        number: int,
        spec: StageSpec,
        gst: Any,
        library: native.Library,
        notes: deque[Note],
        references: References,
    ) -> None:
        self.spec = spec
        self.number = number
        self.pad: Any = None
        self._library = library
        self._notes = notes
        self._references = references if number == 0 else None  # only the first stage looks for capture times
        self._kinds = {int(getattr(gst.EventType, kind)): kind for kind in ("SEGMENT", "CAPS", "FLUSH_STOP")}
        self._thread = _Thread()
        self._probes = (
            (native.BUFFER, native.ProbeFunction(self._on_buffer)),
            (native.BUFFER_LIST, native.ProbeFunction(self._on_list)),
            (native.EVENT_DOWNSTREAM | native.EVENT_FLUSH, native.ProbeFunction(self._on_event)),
        )

    def attach(self, pad: Any) -> None:
        """Probe a pad from now on; what it has been told before (segment, caps) counts."""
        self.pad = pad
        pointer = hash(pad)  # a GObject's hash in PyGObject is its address
        for kind in ("SEGMENT", "CAPS"):
            number = next(value for value, name in self._kinds.items() if name == kind)
            if event := self._library.gst_pad_get_sticky_event(pointer, number, 0):
                self._note_event(monotonic_ns(), event)
                self._library.gst_mini_object_unref(event)
        for mask, function in self._probes:
            self._library.gst_pad_add_probe(pointer, mask, function, None, None)

    def _on_buffer(self, pad: int, info: int, user: int) -> int:
        now_ns = monotonic_ns()
        if not self._thread.kept:
            self._keep_thread()
        address = ProbeInfo.from_address(info).data
        buffer = Buffer.from_address(address)
        reference = self._references.of(address) if self._references is not None else None
        self._notes.append((now_ns, self.number, buffer.pts, buffer.flags, reference))
        return native.PROBE_OK

    def _on_list(self, pad: int, info: int, user: int) -> int:
        """Note each frame of a list once: a list is most often one frame in many packets."""
        now_ns = monotonic_ns()
        if not self._thread.kept:
            self._keep_thread()
        buffers = ProbeInfo.from_address(info).data
        before = None
        for index in range(self._library.gst_buffer_list_length(buffers)):
            address = self._library.gst_buffer_list_get(buffers, index)
            buffer = Buffer.from_address(address)
            if buffer.pts != before:
                reference = self._references.of(address) if self._references is not None else None
                self._notes.append((now_ns, self.number, buffer.pts, buffer.flags, reference))
            before = buffer.pts
        return native.PROBE_OK

    def _on_event(self, pad: int, info: int, user: int) -> int:
        self._note_event(monotonic_ns(), ProbeInfo.from_address(info).data)
        return native.PROBE_OK

    def _note_event(self, now_ns: int, event: int) -> None:
        kind = self._kinds.get(native.Event.from_address(event).type)
        if kind is None:
            return
        what: Segment | str | None = FLUSH
        if kind == "SEGMENT":
            what = self._library.segment_of(event)
            if what is None:
                return
        elif kind == "CAPS":
            what = self._library.caps_of(event)
        self._notes.append((now_ns, self.number, what, 0, None))

    def _keep_thread(self) -> None:
        _keep_thread_state()
        self._thread.kept = True
