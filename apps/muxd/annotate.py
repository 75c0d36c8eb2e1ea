"""Gives each decided pair its power and energy, in the order in which the pairs were decided."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from benchlab.catalog import energy_key
from benchlab.event import META, PIPELINE, Event
from muxd.pairing import Decision
from muxd.power import PENDING, Bracket, Series
from muxd.reference import Reference, name_of
from muxd.rows import LATENCY, Completed, DroppedRow, LatencyKv, LatencyRow
from muxd.settings import NS_PER_MS, Settings
from muxd.streams import stated_ns

Row = LatencyRow | DroppedRow


class AnnotatorState(msgspec.Struct):
    """What has to be kept for the annotation to go on elsewhere."""

    series: list[Series]
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
            averaged_ns = self._averaged_ns.get(event.source)
            for one in series:
                one.add(event, averaged_ns)

    def resolve(self, known_ns: int, out: list[Row], final: bool = False) -> None:
        """Turn queued decisions into rows as far as their power is settled.

        Every sample before ``known_ns`` has been added; with ``final`` no other will come.
        """
        queue = self.queue
        while queue:
            head = queue[0]
            if isinstance(head, Completed):
                found = self.reference.bracket(head.a_ns, head.b_ns, known_ns, final)
                if found == PENDING:
                    break
                out.append(self._row(head, found))
            else:
                out.append(head.row(self._pairs))
            queue.popleft()
        self._prune(known_ns)

    def state(self) -> AnnotatorState:
        """Return what ``restore`` needs."""
        every = [series for group in self._by_address.values() for series in group]
        return AnnotatorState(every, self._averaged_ns, list(self.queue))

    def restore(self, state: AnnotatorState) -> None:
        """Go on from another annotator's state."""
        self._averaged_ns = dict(state.averaged_ns)
        self.queue = deque(state.queue)
        for series in state.series:
            self._by_address.setdefault((series.source, series.dev), []).append(series)
            self.reference.attach(series)

    def _open(self, source: str, dev: str | None) -> list[Series]:
        keys = self.reference.keys(source)
        opened = [Series(source, dev, key, energy_key(source, key), self._max_gap_ns) for key in keys]
        self._by_address[(source, dev)] = opened
        for series in opened:
            self.reference.attach(series)
        return opened

    def _hear(self, event: Event) -> None:
        """Learn how long a reading is averaged over, and which source has left."""
        told = event.kv.get("event")
        if told == "start":
            self._averaged_ns.update(stated_ns(event, "window_ms"))
        elif told == "source_down":
            gone = event.kv.get("which")
            for (source, dev), group in self._by_address.items():
                if source == gone and event.dev in (None, dev):
                    for series in group:
                        series.leave(event.ts_ns)

    def _row(self, pair: Completed, found: list[Bracket] | str) -> LatencyRow:
        a_ns, b_ns = pair.a_ns, pair.b_ns
        flow = pair.flow or None
        kv = LatencyKv((b_ns - a_ns) / NS_PER_MS, self._pairs[pair.pair], flow, pair.frame, pair.pts_ns, pair.match)
        if isinstance(found, str):
            kv.power_why = found
            return LatencyRow(b_ns, LATENCY, kv, pair.unc_ns, pair.sim)
        annotate(kv, found, a_ns, b_ns)
        unc_ns = worst_uncertainty(pair.unc_ns, found)
        sim, sim_of = simulated(pair.sim, found)
        return LatencyRow(b_ns, LATENCY, kv, unc_ns, sim, sim_of)

    def _prune(self, known_ns: int) -> None:
        oldest_ns = known_ns
        if self.queue and isinstance(self.queue[0], Completed):
            oldest_ns = min(known_ns, self.queue[0].a_ns)
        for group in self._by_address.values():
            for series in group:
                series.prune(oldest_ns - self._window_ns)


def annotate(kv: LatencyKv, brackets: Sequence[Bracket], a_ns: int, b_ns: int) -> None:
    """Fill in power at the midpoint, energy over the interval and what is known of their quality."""
    parts = [bracket.series.measure(bracket.left, bracket.right, a_ns, b_ns) for bracket in brackets]
    first, *others = parts
    power_w, energy_j, age_ns = first.power_w, first.energy_j, first.age_ns
    for part in others:
        power_w += part.power_w
        energy_j += part.energy_j
        age_ns = max(age_ns, part.age_ns)
    kv.power_w, kv.energy_j, kv.power_age_ms = power_w, energy_j, age_ns / NS_PER_MS
    kv.power_source = name_of([bracket.series for bracket in brackets])
    for bracket in brackets:
        if (bracket.series.averaged_ns[bracket.right] or 0) > b_ns - a_ns:
            kv.power_method = "window"
    kv.temp_c = first.temp_c


def worst_uncertainty(unc_ns: int | None, brackets: Sequence[Bracket]) -> int | None:
    """Return the largest stated uncertainty of what went into a row; absent where nothing states one."""
    for bracket in brackets:
        stated = bracket.series.unc_ns
        for one_ns in (stated[bracket.left], stated[bracket.right]):
            if one_ns is not None and (unc_ns is None or one_ns > unc_ns):
                unc_ns = one_ns
    return unc_ns


def simulated(stages: bool, brackets: Sequence[Bracket]) -> tuple[bool, list[str] | None]:
    """Return whether any input was simulated and, where only some were, which."""
    meters = [b.series.sim[b.left] or b.series.sim[b.right] for b in brackets]
    if stages not in meters or len(meters) > 1:
        of = {b.series.source: sim for b, sim in zip(brackets, meters, strict=True)} | {PIPELINE: stages}
        names = sorted(source for source, sim in of.items() if sim)
        return bool(names), names if 0 < len(names) < len(of) else None
    return stages, None
