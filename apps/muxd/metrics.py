"""What muxd shows on /metrics: live state only, so that a scrape touches neither files nor hardware.

The seeds' three names are a written contract and kept as they are; beside them stands the idiomatic set, in base
units, with names and help from the catalog (docs/METRICS.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from benchlab import __version__
from benchlab.event import Event
from benchlab.log.reader import Batch
from muxd.engine import Output
from muxd.glance import Glance
from muxd.mux import Mux
from muxd.readings import STALE_NS, Readings
from muxd.rows import DUPLICATE, LOST, OPEN_AT_END, OPEN_AT_START, ORPHAN, LatencyRow
from muxd.vm_metrics import VmMetrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a timestamp a series that nobody asked for

_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
LATENCY_BUCKETS_S = tuple(b for e in range(-4, 1) for s in _STEPS if 0.0002 <= (b := round(s * 10.0**e, 5)) <= 5)
ENERGY_BUCKETS_J = tuple(round(s * 10.0**e, 5) for e in range(-3, 3) for s in _STEPS)
_REASONS = (LOST, ORPHAN, DUPLICATE)
_LISTED_ONLY = (OPEN_AT_START, OPEN_AT_END)
_PAIR = ("from_stage", "to_stage")


class Metrics:
    """Sees what the mux does and renders it, and ``more`` beside it; safe to render from another thread."""

    def __init__(
        self,
        pairs: tuple[tuple[str, str], ...],
        clock: Callable[[], int] = time.monotonic_ns,
        more: Callable[[], Iterable[Metric]] = tuple,
    ) -> None:
        self._more = more
        self._clock = clock
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        latency_s = Histogram(
            "benchlab_stage_latency_seconds",
            "Latency between two pipeline stages",
            _PAIR,
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        energy_j = Histogram(
            "benchlab_frame_energy_joules",
            "Energy drawn while a frame was between two pipeline stages",
            _PAIR,
            buckets=ENERGY_BUCKETS_J,
            registry=self._registry,
        )
        self._pairs = pairs
        self._unpaired = {(pair, reason): 0 for pair in pairs for reason in _REASONS}
        self._newest: dict[tuple[str, str], tuple[float, int]] = {}
        self._glance = Glance(pairs)
        self._readings = Readings(clock)
        self._vms = VmMetrics()
        self._lag_bytes: dict[str, int] = {}
        self._power_w: float | None = None
        self._newest_ns = self._moved_ns = 0
        # Bound once: looking a child up costs more than observing. They also show each pair from the start.
        self._latency_of = {pair: latency_s.labels(*pair) for pair in pairs}
        self._energy_of = {pair: energy_j.labels(*pair) for pair in pairs}
        self._registry.register(self)

    def output(self, output: Output) -> None:
        """Take in what an advance decided: pairs, and their energy and the drops when they are known."""
        with self._lock:
            for done in output.completed:
                pair = self._pairs[done.pair]
                self._latency_of[pair].observe((done.b_ns - done.a_ns) / 1e9)
            for row in output.latency:
                if isinstance(row, LatencyRow):
                    if row.kv.energy_j is not None:
                        self._energy_of[row.kv.pair].observe(row.kv.energy_j)
                elif row.kv.reason not in _LISTED_ONLY and row.kv.reason is not None:
                    key = (row.kv.pair, row.kv.reason)
                    self._unpaired[key] = self._unpaired.get(key, 0) + 1
            self._vms.take(output.signals)

    def read(self, batch: Batch[Event]) -> None:
        """Take in the readings of a batch, the latencies it shows at a glance, and what it says of its sources."""
        with self._lock:
            self._readings.take(batch)
            for pair, latency_ms in self._glance.newest_ms(batch.rows).items():
                self._newest[pair] = (latency_ms, self._clock())

    def see(self, mux: Mux) -> None:
        """Take in what only the loop can see: the reference power of now, and what is still unread."""
        newest_ns = mux.newest_ns()
        current = mux.engine.annotator.reference.current(newest_ns)
        with self._lock:
            self._power_w = current[1] if current else None
            if newest_ns != self._newest_ns:
                self._newest_ns, self._moved_ns = newest_ns, self._clock()
            self._lag_bytes = mux.intake.lag_bytes()

    def render(self) -> bytes:
        """Return the text exposition (format 0.0.4)."""
        return generate_latest(self._registry) + self._dropped_text()

    def collect(self) -> Iterator[Metric]:
        """Yield the families that are built anew at each scrape."""
        with self._lock:
            yield from list(self._families())

    def _families(self) -> Iterable[Metric]:
        build = GaugeMetricFamily("benchlab_build_info", "Version of this program", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield from self._contract_gauges()
        unpaired = CounterMetricFamily(
            "benchlab_frames_unpaired", "Stage events that found no partner", labels=[*_PAIR, "reason"]
        )
        for (pair, reason), count in sorted(self._unpaired.items()):
            unpaired.add_metric([*pair, reason], count)
        yield unpaired
        lag = GaugeMetricFamily("benchlab_tail_lag_bytes", "Bytes of a raw stream not yet read", labels=["stream"])
        for stream, size in sorted(self._lag_bytes.items()):
            lag.add_metric([stream], size)
        yield lag
        yield from self._readings.families()
        yield from self._vms.families(self._readings.vms())
        yield from self._more()

    def _contract_gauges(self) -> Iterable[Metric]:
        """The seeds' gauges, under the names and labels they promised."""
        latency = GaugeMetricFamily(
            "benchlab_pipeline_latency_ms",
            "Newest latency between two stages in milliseconds",
            labels=["pair"],
        )
        for pair, (latency_ms, seen_ns) in sorted(self._newest.items()):
            if self._clock() - seen_ns <= STALE_NS:
                latency.add_metric([str(pair)], latency_ms)
        yield latency
        power = GaugeMetricFamily("benchlab_power_w", "Reference power of now in watts")
        if self._power_w is not None and self._clock() - self._moved_ns <= STALE_NS:
            power.add_metric([], self._power_w)
        yield power

    def _dropped_text(self) -> bytes:
        """The seeds' counter: its sample has no _total, which the client library would insist on."""
        with self._lock:
            count = sum(self._unpaired.values())
        return (
            "# HELP benchlab_pipeline_dropped Stage events that found no partner, of all pairs\n"
            "# TYPE benchlab_pipeline_dropped counter\n"
            f"benchlab_pipeline_dropped {count}\n"
        ).encode()
