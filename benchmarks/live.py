"""What the daemons use while they run, and how long a frame takes from the log to /metrics."""

from __future__ import annotations

import re
import time
from statistics import quantiles
from threading import Event as Flag
from threading import Thread

from benchlab.event import PIPELINE, Event
from benchlab.log.writer import LogWriter
from benchlab.session import open_session
from benchmarks.daemons import METERS, SESSION, Daemons, Scraper
from benchmarks.measure import Load
from benchmarks.recording import PAIR
from benchmarks.table import Section

CAPTURE = "pipeline_probes.r5c_capture"
SETTLE_S = 3.0
FAST_FPS = 1000
FRAME_S = 1 / 60
PAUSE_S = 0.005
DISORDER_MS = 20  # as pipeline_probes state it
COUNT = re.compile(rb"benchlab_stage_latency_seconds_count\{[^}]*\} (\d+)")
GAUGE = re.compile(rb"benchlab_pipeline_latency_ms\{[^}]*\} ([0-9.]+)")
LATENCY_NS = 10_000_000
FRAME_MARK_NS = 1000  # a frame's latency tells its number: this much more for each, modulo a thousand


def live(seconds: float) -> list[Section]:
    """Return the load at default rates, at 2,000 stage events a second, and the time to /metrics."""
    return [loads(seconds), visible(seconds)]


def loads(seconds: float) -> Section:
    """Watch the demo's daemons at default rates, then with a faster capture."""
    usual, usual_s = watched(seconds)
    fast, fast_s = watched(seconds, "--fps", str(FAST_FPS))
    rows = [row(name, usual_s, load) for name, load in usual.items()]
    rows += [row(name, fast_s, fast[name]) for name in (CAPTURE, "muxd")]
    notes = [
        f"Simulated devices, {seconds:g} s each, after a while to settle; /metrics scraped once a second. "
        "Asked of muxd at 2,000 events/s: under 5 % of a core and 80 MiB; of a collector: under 1 % and 30 MiB.",
    ]
    facts = {
        "default": {"events_s": usual_s, "programs": {name: vars(load) for name, load in usual.items()}},
        "fast": {"events_s": fast_s, "programs": {name: vars(load) for name, load in fast.items()}},
    }
    return Section("Live: load", ["program", "events/s", "% of a core", "RSS MiB", "peak MiB"], rows, notes, facts)


def watched(seconds: float, *capture: str) -> tuple[dict[str, Load], float]:
    """Run all daemons; return what each used, and the events that all of them wrote in a second."""
    with Daemons() as daemons:
        for module, *args in METERS:
            daemons.start(module, *args)
        daemons.start(CAPTURE, "--simulate", *capture)
        daemons.start_muxd()
        time.sleep(min(SETTLE_S, seconds))
        began_s, before = time.monotonic(), sum(daemons.events().values())
        used = daemons.watch(seconds)
        events_s = (sum(daemons.events().values()) - before) / (time.monotonic() - began_s)
        return used, events_s


def row(name: str, events_s: float, load: Load) -> list[str]:
    return [
        name.rpartition(".")[2],
        f"{events_s:.0f}",
        f"{load.cpu_pct:.2f}",
        f"{load.rss_mib:.1f}",
        f"{load.peak_mib:.1f}",
    ]


def visible(seconds: float) -> Section:
    """Append frames at 60 a second and poll /metrics for them."""
    with Daemons() as daemons:
        for module, *args in METERS:
            daemons.start(module, *args)
        writer = FrameWriter(daemons)
        daemons.start_muxd()
        time.sleep(min(SETTLE_S, seconds))
        writer.start()
        delays_ms, shown_ms, scrapes_ms = poll(Scraper(daemons.port), writer, seconds)
        writer.stop()
    waits_ms = vouched_after_ms(writer.appended_s[: len(delays_ms)])
    beyond_ms = [delay - wait for delay, wait in zip(delays_ms, waits_ms, strict=False)]
    measured = {
        "append to the latency gauge": shown_ms,
        "append to the histogram": delays_ms,
        "until the stream vouches for it": waits_ms,
        "what muxd and the scrape add": beyond_ms,
        "a scrape alone": scrapes_ms,
    }
    rows = [[name, *(f"{value:.1f}" for value in percentiles(values))] for name, values in measured.items()]
    notes = [
        f"{len(delays_ms)} frames at 60 a second, their two stages appended together. The gauge takes a frame as it is "
        "read. The histogram takes it when it is decided, which is when its "
        f"stream vouches for its time: with the first event that is {DISORDER_MS} ms newer, here the second frame "
        f"after it. /metrics is polled again {1000 * PAUSE_S:g} ms after each answer, which the figures include and "
        "which loads muxd far more than Prometheus does. Asked: p99 under 50 ms.",
    ]
    facts = {
        name: dict(zip(("p50_ms", "p99_ms"), percentiles(values), strict=True)) for name, values in measured.items()
    }
    return Section("Live: append to visible", ["", "p50 ms", "p99 ms"], rows, notes, facts)


class FrameWriter:
    """Appends a frame's two stages sixty times a second, and notes when."""

    def __init__(self, daemons: Daemons) -> None:
        session = open_session(daemons.root, SESSION)
        self._clock = session.clock()
        lock = session.state / "pipeline.lock"
        self._writer = LogWriter(session.raw / "pipeline.jsonl", lock, clock=self._clock.now_ns)
        self._writer.start({"disorder_ms": DISORDER_MS})
        self._ended = Flag()
        self._thread = Thread(target=self._run, daemon=True)
        self.appended_s: list[float] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._writer.stop()

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._ended.wait(max(0.0, due_s - time.monotonic())):
            now_ns, frame = self._clock.now_ns(), len(self.appended_s)
            times_ns = (now_ns - LATENCY_NS - frame % 1000 * FRAME_MARK_NS, now_ns)
            self._writer.write(
                [
                    Event(ts_ns=ts_ns, source=PIPELINE, kv={"stage": stage, "frame": frame})
                    for ts_ns, stage in zip(times_ns, PAIR, strict=True)
                ]
            )
            self.appended_s.append(time.monotonic())
            self._writer.tick()
            due_s += FRAME_S


def poll(scraper: Scraper, writer: FrameWriter, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Return how long frames took to the histogram and to the gauge, and how long each scrape took, in ms.

    The gauge shows one frame at a time: those that it never showed to a scrape are not counted for it.
    """
    delays_ms: list[float] = []
    shown_ms: list[float] = []
    scrapes_ms: list[float] = []
    last = -1
    end_s = time.monotonic() + seconds
    while (began_s := time.monotonic()) < end_s:
        text = scraper.scrape()
        now_s = time.monotonic()
        scrapes_ms.append(1000 * (now_s - began_s))
        found = COUNT.search(text)
        counted = int(found[1]) if found else 0
        delays_ms += [1000 * (now_s - appended_s) for appended_s in writer.appended_s[len(delays_ms) : counted]]
        frame = frame_shown(text, len(writer.appended_s))
        if frame is not None and frame > last:
            shown_ms.append(1000 * (now_s - writer.appended_s[frame]))
            last = frame
        time.sleep(PAUSE_S)
    return delays_ms, shown_ms, scrapes_ms


def frame_shown(text: bytes, appended: int) -> int | None:
    """Return the number of the frame whose latency the gauge shows: the newest with that mark."""
    found = GAUGE.search(text)
    if found is None or not appended:
        return None
    mark = round((float(found[1]) * 1e6 - LATENCY_NS) / FRAME_MARK_NS)
    frame = (appended - 1) // 1000 * 1000 + mark
    return frame if frame < appended else frame - 1000


def vouched_after_ms(appended_s: list[float]) -> list[float]:
    """Return for each frame how long it took until one was appended that is newer by the stream's disorder."""
    waits_ms: list[float] = []
    newer = 0
    for at_s in appended_s:
        while newer < len(appended_s) and appended_s[newer] - at_s <= DISORDER_MS / 1000:
            newer += 1
        if newer == len(appended_s):
            break
        waits_ms.append(1000 * (appended_s[newer] - at_s))
    return waits_ms


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return the 50th and the 99th."""
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]
