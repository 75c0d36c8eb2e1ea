"""What a pad probe costs a buffer, beside a probe through PyGObject and an empty element; and what the program takes."""

from __future__ import annotations

import shlex
import subprocess
import threading
import time
from statistics import quantiles
from typing import Any

from benchlab import clock
from benchlab.clock import SessionClock
from benchlab.daemon import Ended
from benchmarks.daemons import Daemons
from benchmarks.measure import Load, Watched, program_env
from benchmarks.table import Section
from pipeline_probes import gstreamer, native
from pipeline_probes.graph import Graph
from pipeline_probes.pipeline_source import PipelineSource
from pipeline_probes.stage_spec import StageSpec

FPS = 120
SETTLE_S = 3.0
SOURCE = "videotestsrc is-live=true{limit} ! video/x-raw,width=320,height=240,framerate={fps}/1"
TITLES = {
    "nothing": "two clock readings, nothing between",
    "tap": "a probe of pipeline_probes",
    "wrapped": "a probe through PyGObject that reads the pts",
    "element": "an identity element",
}
ENCODE = SOURCE + " ! tee name=ingress ! x264enc name=enc tune=zerolatency speed-preset=ultrafast ! fakesink"


class Bracket:
    """Two probes, one each side of what is measured: the time from one to the other, in ns, for every buffer."""

    def __init__(self, library: native.Library, before: Any, after: Any) -> None:
        self.found_ns: list[int] = []
        self._since_ns = 0
        self._functions = (native.ProbeFunction(self._before), native.ProbeFunction(self._after))
        for pad, function in zip((before, after), self._functions, strict=True):
            library.gst_pad_add_probe(hash(pad), native.BUFFER, function, None, None)

    def _before(self, pad: int, info: int) -> int:
        self._since_ns = time.monotonic_ns()
        return native.PROBE_OK

    def _after(self, pad: int, info: int) -> int:
        self.found_ns.append(time.monotonic_ns() - self._since_ns)
        return native.PROBE_OK


def probe(seconds: float) -> list[Section]:
    """Measure the probe, then the program."""
    return [cost(seconds), program(seconds)]


def cost(seconds: float) -> Section:
    """Pass the same buffers by nothing, our probe, a probe through PyGObject, and an identity element."""
    gst = gstreamer.load()
    limit = f" num-buffers={round(seconds * FPS)}"
    chain = "".join(f" ! identity name={name}{side}" for name in TITLES for side in ("_a", "_b", "_c"))
    text = SOURCE.format(limit=limit, fps=FPS) + f"{chain} ! fakesink"
    graph = Graph(gst, text, [StageSpec("here", "tap_b", "sink")])
    brackets = place(graph, gst)
    run(graph)
    empty = brackets["nothing"].found_ns
    counted = {name: [ns - own for ns, own in zip(one.found_ns, empty, strict=True)] for name, one in brackets.items()}
    counted["nothing"] = empty
    facts = {name: {"buffers": len(ns), **spread_us(ns)} for name, ns in counted.items()}
    rows = [[TITLES[name], *(f"{facts[name][key]:.1f}" for key in ("p50_us", "p99_us", "most_us"))] for name in TITLES]
    notes = [
        f"{len(empty)} buffers at {FPS} a second, each past all four, while another thread turns the notes into events "
        "as in the program. What two clock readings around nothing take is in the first row, and is taken off the "
        "others buffer by buffer. Asked of a probe: p99 under 20 µs."
    ]
    return Section("Probe: cost a buffer", ["", "p50 µs", "p99 µs", "most µs"], rows, notes, facts)


def place(graph: Graph, gst: Any) -> dict[str, Bracket]:
    """Put the brackets, and the probe through PyGObject, on their pads."""
    library = native.Library()

    def pad(name: str, which: str) -> Any:
        return graph.pipeline.get_by_name(name).get_static_pad(which)

    seen: list[int] = []

    def wrapped(pad: Any, info: Any) -> Any:
        seen.append(info.get_buffer().pts)
        return gst.PadProbeReturn.OK

    pad("wrapped_b", "sink").add_probe(gst.PadProbeType.BUFFER, wrapped)
    brackets = {
        name: Bracket(library, pad(f"{name}_a", "src"), pad(f"{name}_b", "sink"))
        for name in ("nothing", "tap", "wrapped")
    }
    brackets["element"] = Bracket(library, pad("element_a", "src"), pad("element_b", "src"))
    return brackets


def run(graph: Graph) -> None:
    """Play a pipeline to its end as the program does."""
    source = PipelineSource(graph, "bench", SessionClock(clock.wall_ns() - clock.boottime_ns()), 20)

    def sample() -> None:
        try:
            while True:
                source.sample()
        except Ended:
            pass

    sampling = threading.Thread(target=sample)
    sampling.start()
    sampling.join()
    source.close()


def spread_us(found_ns: list[int]) -> dict[str, float]:
    cuts = quantiles(found_ns, n=100)
    return {"p50_us": cuts[49] / 1e3, "p99_us": cuts[98] / 1e3, "most_us": max(found_ns) / 1e3}


def program(seconds: float) -> Section:
    """Run one pipeline in pipeline_probes and in gst-launch-1.0 at the same time."""
    text = ENCODE.format(limit="", fps=60)
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
        f"`{text}` in both at the same time, for {seconds:g} s. With GStreamer and PyGObject loaded, the 30 MiB asked of "
        "a collector do not hold."
    ]
    facts = {name: vars(load) for name, load in used.items()}
    return Section("Probe: the program", ["program", "% of a core", "RSS MiB", "peak MiB"], rows, notes, facts)


def figures(load: Load) -> list[str]:
    return [f"{load.cpu_pct:.2f}", f"{load.rss_mib:.1f}", f"{load.peak_mib:.1f}"]
