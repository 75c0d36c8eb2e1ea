"""What is no measurement of a machine: frames, bookmarks, and what a collector says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from benchlab.catalog.signal import Signal, numbers

SELF = "self.*"

_COUNTS = (
    ("ticks", "", "ticks_total", "Samples taken, over all sources of the collector"),
    ("late_ticks", "", "late_ticks_total", "Samples skipped because an earlier one took too long"),
    ("errors", "", "errors_total", "Samples that failed"),
    ("lines", "", "lines_total", "Lines written"),
    ("bytes", "B", "written_bytes_total", "Bytes written"),
    ("lost", "", "lost_lines_total", "Lines lost because the disk refused them for too long"),
    ("received", "", "stages_received_total", "Stages and bookmarks that programs sent"),
    ("malformed", "", "stages_malformed_total", "Lines that programs sent and that are no stage"),
    ("missed", "", "stages_missed_total", "Stages that did not arrive, by their senders' numbering"),
)


def signals() -> Iterator[Signal]:
    """Yield every key of pipeline events and bookmarks, and the collectors' own figures."""
    yield Signal("pipeline", "stage", "", "info", "Stage that the frame has reached", influx="string")
    yield Signal("pipeline", "frame", "", "info", "Number of the frame, kept from stage to stage", influx="integer")
    yield Signal("pipeline", "pts_ns", "ns", "info", "Presentation time of the frame", influx="integer")
    yield Signal("pipeline", "flow", "", "info", "Which flow of frames it belongs to", influx="string")
    yield Signal("bookmark", "text", "", "info", "What the operator noted at this moment", influx="string")
    yield from numbers(SELF, "counter", "benchlab_collector_", _COUNTS, "integer")
    cpu = ("cpu_s", "s", "cpu_seconds_total", "Processor time the collector used")
    yield from numbers(SELF, "counter", "benchlab_collector_", [cpu])
    rss = ("rss", "B", "resident_bytes", "Memory the collector holds")
    yield from numbers(SELF, "gauge", "benchlab_collector_", [rss], "integer")
