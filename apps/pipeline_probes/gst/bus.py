"""What a pipeline says on its bus: that it ended, that it failed, which buffers it dropped."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from benchlab.daemon import Absent, Ended, Transient
from pipeline_probes.gst.drops import Drops
from pipeline_probes.gst.graph import Graph

log = logging.getLogger(__name__)


def read_bus(graph: Graph, drops: Drops, device: Path | None) -> Exception | None:
    """Take what is on the bus; return how the pipeline ended, None while it goes on.

    That is Ended, Absent (the device is not there), or Transient (anything else that may be better next time).
    """
    gst = graph.gst
    bus = graph.pipeline.get_bus()
    outcome: Exception | None = None
    while (message := bus.pop()) is not None:
        kind = message.type
        if kind == gst.MessageType.ERROR and outcome is None:
            outcome = failure(gst, message, device)
        elif kind == gst.MessageType.EOS and outcome is None:
            outcome = Ended("the pipeline came to its end")
        elif kind == gst.MessageType.QOS:
            drops.heard(message, gst)
        elif kind == gst.MessageType.WARNING:
            warning, _ = message.parse_warning()
            log.warning("%s: %s", message.src.get_name(), warning.message)
        elif kind == gst.MessageType.LATENCY:
            graph.pipeline.recalculate_latency()
        elif kind == gst.MessageType.CLOCK_LOST:
            graph.pipeline.set_state(gst.State.PAUSED)
            graph.pipeline.set_state(gst.State.PLAYING)
    return outcome


def failure(gst: Any, message: Any, device: Path | None) -> Exception:
    """Return an ERROR message as what the loop understands. Source: GstResourceError."""
    error, debug = message.parse_error()
    not_found = error.matches(gst.ResourceError.quark(), gst.ResourceError.NOT_FOUND)
    cause = (debug or "").strip().rpartition("\n")[2].strip()
    if not_found and cause.startswith("system error:"):
        cause = ""  # whatever errno said last
    reason = f"{message.src.get_name()}: {error.message}" + (f" ({cause})" if cause else "")
    if not_found:
        return Absent(reason)
    if error.matches(gst.ResourceError.quark(), gst.ResourceError.BUSY) or "busy" in reason:
        held = f"{device} is held by another program" if device else "another program holds the device"
        return Transient(f"{reason}: {held}; fuser -v {device or '/dev/video*'} says which")
    return Transient(reason)
