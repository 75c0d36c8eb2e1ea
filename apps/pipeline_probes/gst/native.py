"""The few functions and structures of libgstreamer-1.0 that a probe needs, through ctypes.

PyGObject wraps every buffer it hands to a callback, which costs more than a probe may. The structures are part of
GStreamer's stable ABI 1.0. Source: gstminiobject.h, gstbuffer.h, gstevent.h, gstpad.h, gstsegment.h, gstmeta.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_uint, c_uint64, c_ulong, c_void_p
from typing import Any

from pipeline_probes.gst.running_time import Segment

PROBE_OK = 1  # GST_PAD_PROBE_OK
BUFFER = 1 << 4
BUFFER_LIST = 1 << 5
EVENT_DOWNSTREAM = 1 << 6
EVENT_FLUSH = 1 << 8
FLAG_HEADER = 1 << 10
FORMAT_TIME = 3

ProbeFunction = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)
"""Takes the pad and the info. GStreamer also passes user data, which a callback may leave where it is."""


class ProbeInfo(ctypes.Structure):
    """``GstPadProbeInfo`` up to the field read here."""

    _fields_ = (("type", c_uint), ("id", c_ulong), ("data", c_void_p))
    data: int


class MiniObject(ctypes.Structure):
    """``GstMiniObject``."""

    _fields_ = (
        ("type", ctypes.c_size_t),
        ("refcount", c_int),
        ("lockstate", c_int),
        ("flags", c_uint),
        ("copy", c_void_p),
        ("dispose", c_void_p),
        ("free", c_void_p),
        ("priv_uint", c_uint),
        ("priv_pointer", c_void_p),
    )
    flags: int


class Buffer(ctypes.Structure):
    """``GstBuffer`` up to the field read here."""

    _anonymous_ = ("mini_object",)
    _fields_ = (("mini_object", MiniObject), ("pool", c_void_p), ("pts", c_uint64))
    pts: int
    flags: int


class Event(ctypes.Structure):
    """``GstEvent`` up to the field read here."""

    _fields_ = (("mini_object", MiniObject), ("type", c_uint))
    type: int


class _Segment(ctypes.Structure):
    """``GstSegment`` without its padding."""

    _fields_ = (
        ("flags", c_uint),
        ("rate", c_double),
        ("applied_rate", c_double),
        ("format", c_uint),
        *((name, c_uint64) for name in ("base", "offset", "start", "stop", "time", "position", "duration")),
    )
    rate: float
    format: int
    base: int
    offset: int
    start: int
    stop: int
    duration: int


class ReferenceTimestamp(ctypes.Structure):
    """``GstReferenceTimestampMeta``."""

    _fields_ = (
        ("flags", c_uint),
        ("info", c_void_p),
        ("reference", c_void_p),
        ("timestamp", c_uint64),
        ("duration", c_uint64),
    )
    timestamp: int


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "gst_pad_add_probe": (c_ulong, [c_void_p, c_uint, ProbeFunction, c_void_p, c_void_p]),
    "gst_pad_remove_probe": (None, [c_void_p, c_ulong]),
    "gst_pad_get_sticky_event": (c_void_p, [c_void_p, c_uint, c_uint]),
    "gst_mini_object_unref": (None, [c_void_p]),
    "gst_event_parse_segment": (None, [c_void_p, POINTER(POINTER(_Segment))]),
    "gst_event_parse_caps": (None, [c_void_p, POINTER(c_void_p)]),
    "gst_caps_to_string": (c_void_p, [c_void_p]),
    "gst_caps_from_string": (c_void_p, [c_char_p]),
    "gst_buffer_list_length": (c_uint, [c_void_p]),
    "gst_buffer_list_get": (c_void_p, [c_void_p, c_uint]),
    "gst_buffer_get_reference_timestamp_meta": (c_void_p, [c_void_p, c_void_p]),
    "g_free": (None, [c_void_p]),
}


class Library:
    """libgstreamer, loaded by PyGObject before; its functions bear their own names."""

    def __init__(self) -> None:
        # PyDLL keeps Python's lock over these short calls: giving it up in a probe could cost a turn to get it back.
        self._library = ctypes.PyDLL("libgstreamer-1.0.so.0")
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function."""
        found: Callable[..., Any] = getattr(self._library, name)
        return found

    def segment_of(self, event: int) -> Segment | None:
        """Return the segment that a SEGMENT event brings; None if it does not count in time."""
        found = POINTER(_Segment)()
        self.gst_event_parse_segment(event, byref(found))
        it = found.contents
        if it.format != FORMAT_TIME:
            return None
        return Segment(it.rate, it.base, it.offset, it.start, it.stop, it.duration)

    def caps_of(self, event: int) -> str:
        """Return the capabilities that a CAPS event brings, in GStreamer's notation."""
        caps = c_void_p()
        self.gst_event_parse_caps(event, byref(caps))
        text = self.gst_caps_to_string(caps)
        try:
            return ctypes.string_at(text).decode(errors="replace")
        finally:
            self.g_free(text)
