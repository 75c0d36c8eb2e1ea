"""Gives each decided pair its power and energy, in the order in which the pairs were decided."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from benchlab.catalog import energy_key, energy_step_ms
from benchlab.event import META, PIPELINE, Event
from muxd.pairing import Decision
from muxd.power import PENDING, Cover, Series, SeriesState, larger
from muxd.reference import Reference, name_of
from muxd.rows import LATENCY, Completed, DroppedRow, LatencyKv, LatencyRow
from muxd.settings import NS_PER_MS, Settings
from muxd.streams import stated_ns

Row = LatencyRow | DroppedRow

WINDOW = "window"
TWO_MS = 2 * NS_PER_MS


class AnnotatorState(msgspec.Struct):
    """What has to be kept for the annotation to go on elsewhere."""

    series: list[SeriesState]
    averaged_ns: dict[str, int]
    queue: list[Decision]


class Annotator:
    """Holds the power series and the decided pairs that still wait for a sample."""

    def __init__(self, settings: Settings) -> None:
        self._pairs = settings.pairs
        self._max_gap_ns = settings.max_gap_ns
        self._window_ns = settings.window_ns
        self.reference = Reference(settings.power_sources, settings.max_gap_ns)
        self._by_address: dict[tuple[str, str | None], list[Series]] = {}
        self._averaged_ns: dict[str, int] = {}
        self.queue: deque[Decision] = deque()

    def add(self, events: Iterable[Event]) -> None:
        """Take power samples, and what the streams say of themselves, in total order."""
        for event in events:
            if event.source == META:
                self._hear(event)
                continue
            address = (event.source, event.dev)
            series = self._by_address.get(address)
            if series is None:
                series = self._open(*address)
            averaged_ns = self._averaged_ns.get(event.source, 0)
            for one in series:
                one.add(event, averaged_ns)

    def resolve(self, known_ns: int, out: list[Row], final: bool = False) -> None:
        """Turn queued decisions into rows as far as their power is settled.

        Every sample before ``known_ns`` has been added; with ``final`` no other will come.
        """
        cover_of_pair, pairs = self.reference.cover, self._pairs
        done = 0
        for head in self.queue:
            if isinstance(head, Completed):
                found = cover_of_pair(head.a_ns, head.b_ns, known_ns, final)
                if found is PENDING:
                    break
                out.append(latency_row(head, pairs[head.pair], found))
            else:
                out.append(head.row(pairs))
            done += 1
        self.queue = deque(islice(self.queue, done, None))
        self._prune(known_ns)

    def state(self) -> AnnotatorState:
        """Return what ``restore`` needs."""
        every = [series.state() for group in self._by_address.values() for series in group]
        return AnnotatorState(every, self._averaged_ns, list(self.queue))

    def restore(self, state: AnnotatorState) -> None:
        """Go on from another annotator's state."""
        self._averaged_ns = dict(state.averaged_ns)
        self.queue = deque(state.queue)
        for kept in state.series:
            series = self._series(kept.source, kept.dev, kept.key)
            series.restore(kept)
            self._by_address.setdefault((kept.source, kept.dev), []).append(series)

    def _series(self, source: str, dev: str | None, key: str) -> Series:
        step_ns = round(energy_step_ms(source, key) * NS_PER_MS)
        series = Series(source, dev, key, self._max_gap_ns, energy_key(source, key), step_ns)
        self.reference.attach(series)
        return series

    def _open(self, source: str, dev: str | None) -> list[Series]:
        opened = [self._series(source, dev, key) for key in self.reference.keys(source)]
        self._by_address[(source, dev)] = opened
        return opened

    def _hear(self, event: Event) -> None:
        """Learn how long a reading is averaged over, and which source has left."""
        told = event.kv.get("event")
        if told in ("start", "source_up"):
            self._averaged_ns.update(stated_ns(event, "window_ms"))
        elif told == "source_down":
            gone = event.kv.get("which")
            for (source, dev), group in self._by_address.items():
                if source == gone and event.dev in (None, dev):
                    for series in group:
                        series.leave(event.ts_ns)

    def _prune(self, known_ns: int) -> None:
        oldest_ns = known_ns
        if self.queue and isinstance(self.queue[0], Completed):
            oldest_ns = min(known_ns, self.queue[0].a_ns)
        for group in self._by_address.values():
            for series in group:
                series.prune(oldest_ns - self._window_ns)


def latency_row(pair: Completed, stages: tuple[str, str], found: list[Cover] | str) -> LatencyRow:
    """Return the row of a pair: power at its midpoint, energy over its length, and what is known of their quality."""
    a_ns, b_ns = pair.a_ns, pair.b_ns
    latency_ms = (b_ns - a_ns) / NS_PER_MS
    kv = LatencyKv(latency_ms, stages, pair.flow or None, pair.frame, pair.pts_ns, pair.match)
    row = LatencyRow(b_ns, LATENCY, kv, pair.unc_ns, pair.sim)
    if isinstance(found, str):
        kv.power_why = found
        return row
    if len(found) == 1 and len(found[0].stretches) == 1:
        measure_simply(kv, found[0], a_ns, b_ns)
    else:
        measure(kv, found, a_ns, b_ns)
    qualify(row, found, b_ns - a_ns)
    return row


def measure(kv: LatencyKv, covers: Sequence[Cover], a_ns: int, b_ns: int) -> None:
    """Fill in what was drawn, summed over the signals of the reference."""
    middles = [cover.middle(a_ns, b_ns) for cover in covers]
    kv.power_w = sum([m.start_w + m.rise_w * m.share(a_ns, b_ns) for m in middles])
    kv.energy_j = sum([cover.energy_j(a_ns, b_ns) for cover in covers])
    kv.power_age_ms = max([min(a_ns + b_ns - 2 * m.start_ns, 2 * m.end_ns - a_ns - b_ns) for m in middles]) / TWO_MS
    kv.power_source = name_of([cover.name for cover in covers])
    kv.temp_c = middles[0].temp_c(middles[0].share(a_ns, b_ns))


def measure_simply(kv: LatencyKv, cover: Cover, a_ns: int, b_ns: int) -> None:
    """Fill in what was drawn during the usual pair, which lies between two samples of one meter: the hot path.

    Power runs straight there, so its value in the middle is its mean.
    """
    stretch = cover.stretches[0]
    since_ns, left_ns = a_ns + b_ns - 2 * stretch.start_ns, 2 * stretch.end_ns - a_ns - b_ns  # both twice as long
    share = since_ns / (since_ns + left_ns) if since_ns or left_ns else 0.0
    kv.power_w = power_w = stretch.start_w + stretch.rise_w * share
    kv.energy_j = power_w * (b_ns - a_ns) * 1e-9 if stretch.counted_j is None else cover.energy_j(a_ns, b_ns)
    kv.power_age_ms = (since_ns if since_ns < left_ns else left_ns) / TWO_MS
    kv.power_source = cover.name
    kv.temp_c = stretch.temp_c(share)


def qualify(row: LatencyRow, covers: Sequence[Cover], length_ns: int) -> None:
    """Fill in what limits the trust in a row: averaging, uncertainty, simulation."""
    simulation = row.sim
    for cover in covers:
        if cover.averaged_ns > length_ns:
            row.kv.power_method = WINDOW
        if cover.unc_ns is not None:
            row.unc_ns = larger(row.unc_ns, cover.unc_ns)
        simulation = simulation or cover.sim
    if simulation:
        row.sim, row.sim_of = True, simulated(row.sim, covers)


def simulated(stages: bool, covers: Sequence[Cover]) -> list[str] | None:
    """Return which of the inputs were simulated, where only some were."""
    of = {PIPELINE: stages}
    for cover in covers:
        of[cover.source] = of.get(cover.source, False) or cover.sim
    names = sorted(source for source, sim in of.items() if sim)
    return names if len(names) < len(of) else None
