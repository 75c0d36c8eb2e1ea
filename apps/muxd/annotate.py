"""Gives each decided pair its power and energy, in the order in which the pairs were decided."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from benchlab.catalog import energy_key
from benchlab.event import META, PIPELINE, Event
from muxd.pairing import Decision
from muxd.power import PENDING, Bracket, Series, interpolated
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
    middle_ns = (a_ns + b_ns) // 2
    power_w = energy_j = 0.0
    age_ns = 0
    averaged = False
    for bracket in brackets:
        series, left, right = bracket.series, bracket.left, bracket.right
        at = right if right - left <= 1 else bisect_left(series.ts_ns, middle_ns, left, right)
        power_w += interpolated(series, at, middle_ns)
        energy_j += series.energy_j(left, right, a_ns, b_ns)
        age_ns = max(age_ns, nearest_ns(series, at, middle_ns))
        averaged = averaged or (series.averaged_ns[right] or 0) > b_ns - a_ns
    first = brackets[0]
    kv.power_w, kv.energy_j, kv.power_age_ms = power_w, energy_j, age_ns / NS_PER_MS
    kv.power_source = name_of(bracket.series for bracket in brackets)
    kv.power_method = "window" if averaged else None
    kv.temp_c = temperature_c(first, middle_ns)


def nearest_ns(series: Series, at: int, middle_ns: int) -> int:
    """Return the distance from an instant to the nearer end of the stretch that ends with sample ``at``."""
    after_ns = abs(series.ts_ns[at] - middle_ns)
    return min(after_ns, middle_ns - series.ts_ns[at - 1]) if at else after_ns


def temperature_c(bracket: Bracket, middle_ns: int) -> float | None:
    """Return the reference source's temperature at an instant, absent where one of its two readings is."""
    series = bracket.series
    at = bisect_left(series.ts_ns, middle_ns, bracket.left, bracket.right)
    after_c = series.temp_c[at]
    if at == 0 or series.ts_ns[at] == middle_ns or after_c is None:
        return after_c
    before_c, start_ns = series.temp_c[at - 1], series.ts_ns[at - 1]
    if before_c is None:
        return None
    return before_c + (after_c - before_c) * ((middle_ns - start_ns) / (series.ts_ns[at] - start_ns))


def worst_uncertainty(unc_ns: int | None, brackets: Sequence[Bracket]) -> int | None:
    """Return the largest stated uncertainty of what went into a row; absent where nothing states one."""
    for bracket in brackets:
        for at in (bracket.left, bracket.right):
            stated_ns = bracket.series.unc_ns[at]
            if stated_ns is not None and (unc_ns is None or stated_ns > unc_ns):
                unc_ns = stated_ns
    return unc_ns


def simulated(stages: bool, brackets: Sequence[Bracket]) -> tuple[bool, list[str] | None]:
    """Return whether any input was simulated and, where only some were, which."""
    of = {b.series.source: b.series.sim[b.left] or b.series.sim[b.right] for b in brackets}
    of[PIPELINE] = stages
    names = sorted(source for source, sim in of.items() if sim)
    if not names:
        return False, None
    return True, None if len(names) == len(of) else names
