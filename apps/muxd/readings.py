"""The newest reading of every source, for /metrics: shown while it is fresh, gone with its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from benchlab.catalog import Signal, lookup
from benchlab.event import BOOKMARK, META, PIPELINE, Event
from benchlab.log.reader import Batch
from muxd.power import number
from muxd.streams import stated_ns
from muxd.vm_energy import VM

STALE_NS = 10_000_000_000
"""Wall time after which a value that nobody renews is no longer shown; longer where its source is read more seldom."""

MISSED_PERIODS = 2.5
"""After so many periods without a value a source that is read seldom counts as gone."""

MAX_GAP_NS = 2_500_000_000
"""Longest distance of two power samples over which energy is still counted."""

RAIL_POWER = "benchlab_rail_power_watts"
MAX_SERIES = 2000
"""Most series of readings, and most sources, that are shown: a stray source must not fill the scraper's memory."""

MAX_VM_SERIES = 20_000
"""Most series of VMs that are shown beside them: some hundred VMs have as many, and crowd nobody else out."""

GONE = ("vm_gone", "vm_migrated")
"""What vmstatd says of a VM that is on this host no more."""

Labels = tuple[tuple[str, str], ...]


class SourceState:
    """What is known of one source as a whole."""

    def __init__(self) -> None:
        self.up = True
        self.simulated = False
        self.event_ns = 0
        self.seen_ns = 0
        self.unc_ns: int | None = None


class Readings:
    """The newest event of each (source, dev), and the energy of each rail since this program began."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._newest: dict[tuple[str, str], tuple[Event, int]] = {}
        self._sources: dict[str, SourceState] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self._stale_ns: dict[str, int] = {}
        self._rails: dict[Labels, tuple[int, float]] = {}
        self._rail_energy_j: dict[Labels, float] = {}

    def take(self, batch: Batch[Event]) -> None:
        """Take in a batch in the file's order."""
        now_ns = self._clock()
        for event in batch.rows:
            if event.source == META:
                self._hear(event)
                continue
            self._note(event, now_ns)
            if event.source not in (PIPELINE, BOOKMARK):
                address = (event.source, event.dev or "")
                if address in self._newest or len(self._newest) < MAX_SERIES:
                    self._newest[address] = (event, now_ns)
                    if event.source != VM:
                        self._count_energy(event)
        if batch.bad:
            self._error("log", "bad_line", len(batch.bad))

    def vms(self) -> dict[str, Event]:
        """Return the newest event of each VM by its uuid."""
        self._forget_stale()
        return {dev: event for (source, dev), (event, _) in self._newest.items() if source == VM}

    def families(self) -> Iterator[Metric]:
        """Yield one family for each name that a fresh reading has, then those about the sources."""
        self._forget_stale()
        families: dict[str, Metric] = {}
        for (_, labels), (signal, value) in self._series().items():
            add(families, signal, value, labels)
        yield from (families[name] for name in sorted(families))
        yield self._energy_family()
        yield from self._source_families()

    def _series(self) -> dict[tuple[str | None, Labels], tuple[Signal, float]]:
        """Return the newest samples by name and labels, each once and not too many."""
        of_vms = [event for event, _ in self._newest.values() if event.source == VM]
        others = [event for event, _ in self._newest.values() if event.source != VM]
        series: dict[tuple[str | None, Labels], tuple[Signal, float]] = {}
        for events, most in ((others, MAX_SERIES), (of_vms, MAX_VM_SERIES)):
            sampled = (sample for event in events for sample in samples(event))
            series |= {(signal.prometheus, labels): (signal, value) for signal, value, labels in islice(sampled, most)}
        return series

    def _state(self, source: str) -> SourceState:
        """Return what is known of a source; of one too many it is soon forgotten."""
        found = self._sources.get(source)
        if found is None:
            found = SourceState()
            if len(self._sources) < MAX_SERIES:
                self._sources[source] = found
        return found

    def _note(self, event: Event, now_ns: int) -> None:
        state = self._state(event.source)
        state.up, state.simulated, state.seen_ns = True, event.sim, now_ns
        state.event_ns = max(state.event_ns, event.ts_ns)
        state.unc_ns = event.unc_ns

    def _hear(self, event: Event) -> None:
        told, which = event.kv.get("event"), event.kv.get("which")
        for source, period_ns in stated_ns(event, "period_ms").items():
            if len(self._stale_ns) < MAX_SERIES:
                self._stale_ns[source] = max(STALE_NS, round(MISSED_PERIODS * period_ns))
        if told == "source_down" and isinstance(which, str):
            self._state(which).up = False
            self._error(which, "down", 1)
            for address in [a for a in self._newest if a[0] == which and event.dev in (None, a[1] or None)]:
                del self._newest[address]
        elif told == "gap":
            self._error("log", "gap", 1)
        elif told in GONE and event.dev is not None:
            self._newest.pop((VM, event.dev), None)

    def _error(self, source: str, reason: str, count: int) -> None:
        if (source, reason) in self._errors or len(self._errors) < MAX_SERIES:
            self._errors[(source, reason)] = self._errors.get((source, reason), 0) + count

    def _count_energy(self, event: Event) -> None:
        for signal, power_w, labels in samples(event):
            before = self._rails.get(labels)
            if signal.prometheus != RAIL_POWER or (before is None and len(self._rails) >= MAX_SERIES):
                continue
            self._rails[labels] = (event.ts_ns, power_w)
            self._rail_energy_j.setdefault(labels, 0.0)
            if before is not None and 0 < event.ts_ns - before[0] <= MAX_GAP_NS:
                joules = 0.5 * (before[1] + power_w) * (event.ts_ns - before[0]) * 1e-9
                self._rail_energy_j[labels] += max(0.0, joules)

    def _forget_stale(self) -> None:
        now_ns = self._clock()
        for address in [a for a, (_, seen_ns) in self._newest.items() if now_ns - seen_ns > self._patience_ns(a[0])]:
            del self._newest[address]
        for source, state in self._sources.items():
            state.up = state.up and now_ns - state.seen_ns <= self._patience_ns(source)

    def _patience_ns(self, source: str) -> int:
        return self._stale_ns.get(source, STALE_NS)

    def _energy_family(self) -> Metric:
        family = CounterMetricFamily(
            "benchlab_rail_energy_joules",
            "Energy of a rail since this program began",
            labels=["source", "rail", "dev"],
        )
        for labels, joules in sorted(self._rail_energy_j.items()):
            named = dict(labels)
            if (named["source"], named.get("dev", "")) in self._newest:
                family.add_metric([named["source"], named["rail"], named.get("dev", "")], joules)
        return family

    def _source_families(self) -> Iterable[Metric]:
        up = gauge("benchlab_source_up", "Whether a source delivers")
        simulated = gauge("benchlab_source_simulated", "Whether a source is simulated")
        newest = gauge("benchlab_source_last_event_timestamp_seconds", "Time of a source's newest event")
        unc = gauge("benchlab_clock_uncertainty_seconds", "Half-width of the interval that holds an event's true time")
        for source, state in sorted(self._sources.items()):
            up.add_metric([source], state.up)
            if not state.seen_ns:
                continue
            simulated.add_metric([source], state.simulated)
            newest.add_metric([source], state.event_ns / 1e9)
            unc_ns = number(state.unc_ns)
            if unc_ns is not None:
                unc.add_metric([source], unc_ns / 1e9)
        errors = CounterMetricFamily(
            "benchlab_source_errors", "Failures of a source by kind", labels=["source", "reason"]
        )
        for (source, reason), count in sorted(self._errors.items()):
            errors.add_metric([source, reason], count)
        return (up, simulated, newest, unc, errors)


def gauge(name: str, text: str) -> GaugeMetricFamily:
    """Return a gauge family with the one label ``source``."""
    return GaugeMetricFamily(name, text, labels=["source"])


def samples(event: Event) -> Iterator[tuple[Signal, float, Labels]]:
    """Yield what a reading says under the catalog's Prometheus names, in base units; columns of tables too."""
    for key, value in event.kv.items():
        if isinstance(value, list):
            yield from table_samples(event, key, value)
            continue
        signal = lookup(event.source, key)
        recorded = number(value)
        if signal is not None and signal.prometheus and recorded is not None:
            yield signal, recorded * signal.scale, (*signal.identity(event.source, event.dev), *signal.labels)


def table_samples(event: Event, key: str, rows: list[Any]) -> Iterator[tuple[Signal, float, Labels]]:
    """Yield the columns of a table; its ``info`` columns name the row."""
    for row in rows:
        if not isinstance(row, dict):
            continue
        columns = {c: found for c in row if (found := lookup(event.source, f"{key}.{c}")) is not None}
        named = tuple((c, str(row[c])) for c, signal in columns.items() if signal.kind == "info")
        for column, signal in columns.items():
            recorded = number(row[column])
            if signal.prometheus and recorded is not None and signal.kind != "info":
                identity = signal.identity(event.source, event.dev)
                yield signal, recorded * signal.scale, (*identity, *named, *signal.labels)


def add(families: dict[str, Metric], signal: Signal, value: float, labels: Labels) -> None:
    """Add a sample to its family, which is made when its first sample comes."""
    name = signal.prometheus or ""
    family = families.get(name)
    if family is None:
        base = name.removesuffix("_total") if signal.prometheus_type == "counter" else name
        family = families[name] = Metric(base, signal.prometheus_help, signal.prometheus_type)
    family.add_sample(name, dict(labels), value)
