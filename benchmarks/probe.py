"""What a pad probe costs a buffer, by GStreamer's own latency tracer, and what the program takes beside gst-launch."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchlab import clock
from benchlab.clock import SessionClock
from benchlab.daemon import Ended
from benchmarks.daemons import Daemons
from benchmarks.measure import Load, Watched, program_env
from benchmarks.table import Section
from pipeline_probes.gst import gstreamer, native
from pipeline_probes.gst.capture_time import References
from pipeline_probes.gst.graph import Graph
from pipeline_probes.gst.notes import Lookout, Note, on_buffer
from pipeline_probes.gst.pipeline_source import PipelineSource
from pipeline_probes.stage_spec import StageSpec

FPS = 60
SETTLE_S = 3.0
SOURCE = "videotestsrc is-live=true{limit} ! video/x-raw,width=320,height=240,framerate=60/1"
CHAIN = (
    " ! identity name=first ! identity name=probed ! identity name=plain ! identity name=wrapped ! fakesink name=end"
)
ENCODE = SOURCE + " ! tee name=ingress ! x264enc name=enc tune=zerolatency speed-preset=ultrafast ! fakesink"
TITLES = {
    "plain": "identity",
    "probed": "identity, probed by pipeline_probes",
    "wrapped": "identity, probed through PyGObject for the pts",
}
_LATENCY = re.compile(r"element-latency, .* element=\(string\)(\w+), src=\(string\)src, time=\(guint64\)(\d+)")


def probe(seconds: float) -> list[Section]:
    """Measure the probe, then the program."""
    return [cost(seconds), program(seconds)]


def cost(seconds: float) -> Section:
    """Pass the same buffers through an element that does nothing, as it is and with a probe of either kind."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-probe-") as folder:
        trace = Path(folder) / "trace.log"
        tracer = {"GST_TRACERS": "latency(flags=element)", "GST_DEBUG": "GST_TRACER:7", "GST_DEBUG_FILE": str(trace)}
        os.environ.update(tracer)
        run(f" num-buffers={round(seconds * FPS)}")
        for name in tracer:
            del os.environ[name]
        found = latencies(trace.read_text())
    facts = {name: {"buffers": len(found[name]), **spread_us(found[name])} for name in TITLES}
    rows = [[TITLES[name], *figures_us(facts[name])] for name in TITLES]
    for name, title in (("probed", "a probe of pipeline_probes adds"), ("wrapped", "a probe through PyGObject adds")):
        added = {key: facts[name][key] - facts["plain"][key] for key in ("p50_us", "p99_us")}
        facts[f"{name}_adds"] = added
        rows.append([title, *figures_us(added)])
    notes = [
        f"{len(found['plain'])} buffers at {FPS} a second, timed by GStreamer's latency tracer, whose work is in all "
        "rows. The processor sleeps between them and is cold at the first probe, less so at the one through PyGObject. "
        "Another thread turns the notes into events as in the program. Asked of a probe: p99 under 20 µs."
    ]
    return Section("Probe: cost a buffer", ["", "p50 µs", "p99 µs"], rows, notes, facts)


def run(limit: str) -> None:
    """Play the chain to its end, its last element probed and its notes taken as the program does."""
    gst = gstreamer.load()
    graph = Graph(gst, SOURCE.format(limit=limit) + CHAIN, [StageSpec("end", "end", "sink")])
    library = native.Library()
    notes: deque[Note] = deque(maxlen=1)
    callback = native.ProbeFunction(on_buffer(0, notes, Lookout(References(library))))
    library.gst_pad_add_probe(hash(pad(graph, "probed")), native.BUFFER, callback, None, None)
    seen: deque[int] = deque(maxlen=1)

    def wrapped(pad: Any, info: Any) -> Any:
        seen.append(info.get_buffer().pts)
        return gst.PadProbeReturn.OK

    pad(graph, "wrapped").add_probe(gst.PadProbeType.BUFFER, wrapped)
    source = PipelineSource(graph, "bench", SessionClock(clock.wall_ns() - clock.boottime_ns()), 20)
    sampling = threading.Thread(target=to_the_end, args=(source,))
    sampling.start()
    sampling.join()
    source.close()


def pad(graph: Graph, name: str) -> Any:
    return graph.pipeline.get_by_name(name).get_static_pad("sink")


def to_the_end(source: PipelineSource) -> None:
    try:
        while True:
            source.sample()
    except Ended:
        pass


def latencies(trace: str) -> dict[str, list[int]]:
    """Return the time in ns that each buffer spent in each element."""
    found: dict[str, list[int]] = {}
    for name, ns in _LATENCY.findall(trace):
        found.setdefault(name, []).append(int(ns))
    return found


def spread_us(found_ns: list[int]) -> dict[str, float]:
    cuts = quantiles(found_ns, n=100)
    return {"p50_us": cuts[49] / 1e3, "p99_us": cuts[98] / 1e3}


def figures_us(facts: dict[str, float]) -> list[str]:
    return [f"{facts[key]:.1f}" for key in ("p50_us", "p99_us")]


def program(seconds: float) -> Section:
    """Run one pipeline in pipeline_probes and in gst-launch-1.0 at the same time."""
    text = ENCODE.format(limit="")
    with Daemons() as daemons:
        daemons.start(
            "pipeline_probes", "--pipeline", text, "--stage", "ingress=ingress.src", "--stage", "encoded=enc.src"
        )
        launch = ["gst-launch-1.0", "-q", *shlex.split(text)]
        daemons.processes["gst-launch-1.0"] = subprocess.Popen(launch, env=program_env(), stdin=subprocess.DEVNULL)
        time.sleep(min(SETTLE_S, seconds))
        watched = {name: Watched(process.pid) for name, process in daemons.processes.items()}
        time.sleep(seconds)
        used = {name: one.load() for name, one in watched.items()}
    rows = [[name, *figures(load)] for name, load in used.items()]
    ours, plain = used["pipeline_probes"], used["gst-launch-1.0"]
    rows.append(
        [
            "pipeline_probes less gst-launch-1.0",
            f"{ours.cpu_pct - plain.cpu_pct:.2f}",
            f"{ours.rss_mib - plain.rss_mib:.1f}",
            "",
        ]
    )
    notes = [
        f"`{text}` in both at the same time, for {seconds:g} s. With GStreamer and PyGObject loaded, the 30 MiB asked "
        "of a collector do not hold."
    ]
    facts = {name: vars(load) for name, load in used.items()}
    return Section("Probe: the program", ["program", "% of a core", "RSS MiB", "peak MiB"], rows, notes, facts)


def figures(load: Load) -> list[str]:
    return [f"{load.cpu_pct:.2f}", f"{load.rss_mib:.1f}", f"{load.peak_mib:.1f}"]
