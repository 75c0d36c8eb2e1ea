"""A probe on one pad: notes what passes and when, and leaves the rest for another thread."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from time import monotonic_ns
from typing import Any

from pipeline_probes.gst import native
from pipeline_probes.gst.capture_time import References
from pipeline_probes.gst.notes import FLUSH, Lookout, Note, on_buffer, on_list
from pipeline_probes.stage_spec import StageSpec

_keep_thread_state = ctypes.pythonapi.PyGILState_Ensure


class _Thread(threading.local):
    """Whether this thread's Python state is kept from one callback to the next."""

    kept = False


_thread = _Thread()


class Tap:
    """The probes of one stage. ``attach`` puts them on its pad; notes go to ``notes``, oldest first.

    A thread of GStreamer gets a new Python state for every callback, which costs more than all the rest: so each
    keeps its first one, from the events on that go before any buffer. Turn ``lookout.is_on`` on for a look at the next
    buffer's reference timestamp.
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
        self.pad: Any = None
        self.lookout = Lookout(references)
        self._number = number
        self._library = library
        self._notes = notes
        kinds = (gst.EventType.SEGMENT, gst.EventType.CAPS, gst.EventType.FLUSH_STOP)
        self._segment, self._caps, self._flush = (int(kind) for kind in kinds)
        self._probes = (
            (native.BUFFER, native.ProbeFunction(on_buffer(number, notes, self.lookout))),
            (native.BUFFER_LIST, native.ProbeFunction(on_list(number, notes, self.lookout, library))),
            (native.EVENT_DOWNSTREAM | native.EVENT_FLUSH, native.ProbeFunction(self._on_event)),
        )

    def attach(self, pad: Any) -> None:
        """Probe a pad from now on; what it has been told before (segment, caps) counts."""
        self.pad = pad
        address = hash(pad)  # PyGObject's hash of an object is where it is
        for kind in (self._segment, self._caps):
            if event := self._library.gst_pad_get_sticky_event(address, kind, 0):
                self._note_event(event)
                self._library.gst_mini_object_unref(event)
        for mask, function in self._probes:
            self._library.gst_pad_add_probe(address, mask, function, None, None)

    def _on_event(self, pad: int, info: int) -> int:
        if not _thread.kept:
            _thread.kept = True
            _keep_thread_state()
        self._note_event(native.ProbeInfo.from_address(info).data)
        return native.PROBE_OK

    def _note_event(self, event: int) -> None:
        now_ns = monotonic_ns()
        kind = native.Event.from_address(event).type
        if kind == self._segment:
            if (segment := self._library.segment_of(event)) is not None:
                self._notes.append((now_ns, self._number, segment, None))
        elif kind == self._caps:
            self._notes.append((now_ns, self._number, self._library.caps_of(event), None))
        elif kind == self._flush:
            self._notes.append((now_ns, self._number, FLUSH, None))
