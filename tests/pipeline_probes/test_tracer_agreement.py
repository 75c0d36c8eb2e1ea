"""Latencies between probes against those of GStreamer's own latency tracer, on the same buffers of one run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import json

from benchlab.event import PIPELINE, Event
from support.processes import Run

FRAMES = 150
PIPE = (
    f"videotestsrc num-buffers={FRAMES} is-live=true ! video/x-raw,width=320,height=240,framerate=60/1 "
    "! x264enc name=enc tune=zerolatency speed-preset=ultrafast ! fakesink"
)
TRACED = re.compile(r"element-latency, .* element=\(string\)enc, src=\(string\)src, time=\(guint64\)(\d+)")


def test_latencies_agree_with_the_tracer_within_the_stated_uncertainty(
    gst: Any, component: Callable[[str, str], str], run: Run, tmp_path: Path
) -> None:
    """The encoder, from its sink pad to its source pad, which is what the tracer measures; no frames are reordered.

    Both read their clock in the pipeline's thread, which the machine may stop between the two: so not each frame,
    but nineteen in twenty must agree.
    """
    component("gst-launch-1.0", "gstreamer1.0-tools")
    trace = tmp_path / "trace.log"
    tracer = {
        "GST_TRACERS": "latency(flags=pipeline+element+reported)",
        "GST_DEBUG": "GST_TRACER:7",
        "GST_DEBUG_FILE": str(trace),
        "GST_DEBUG_NO_COLOR": "1",
    }
    done = run(
        "pipeline_probes", "--data-root", str(tmp_path), "--session", "s", "--pipeline", PIPE,
        "--stage", "before=enc.sink", "--stage", "after=enc.src", **tracer,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    traced_ns = [int(ns) for ns in TRACED.findall(trace.read_text())]
    events = [json.decode(line, type=Event) for line in (tmp_path / "sessions/s/raw/pipeline.jsonl").open("rb")]
    stages = [event for event in events if event.source == PIPELINE]
    before = {event.kv["pts_ns"]: event for event in stages if event.kv["stage"] == "before"}
    after = [event for event in stages if event.kv["stage"] == "after"]
    assert len(traced_ns) == len(before) == len(after) == FRAMES
    apart_ns = []
    stated_ns = []
    for event, tracer_ns in zip(after, traced_ns, strict=True):
        first = before[event.kv["pts_ns"]]
        apart_ns.append(abs(event.ts_ns - first.ts_ns - tracer_ns))
        stated_ns.append((event.unc_ns or 0) + (first.unc_ns or 0))
    within = [apart <= stated for apart, stated in zip(apart_ns, stated_ns, strict=True)]
    assert sum(within) >= 0.95 * FRAMES, sorted(apart_ns)[-10:]
    assert median(apart_ns) <= median(stated_ns)
    assert median(traced_ns) > 0
