"""Signals over any stretch of a session: the values where they are few, else least, mean and greatest by bucket."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchlab.event import Aligned
from benchlab.query.aligned import SIGNALS_FILE
from benchlab.query.index import Index, State
from benchlab.query.segments import Extent, Range, check_unchanged, extent, joined, read_range
from benchlab.query.signal_index import Address, Part, Span, Values, all_series, both, parts, span_of, spans, take

EXACT_BYTES = 8 * 1024 * 1024
"""As much of the file is read value by value."""

TAIL_BYTES = 16 * 1024 * 1024


@dataclass
class Series:
    """One signal in a stretch of time: values one by one, or spans."""

    address: Address
    values: list[tuple[int, float]] = field(default_factory=list)
    spans: list[Span] | None = None
    sim: bool = False


class SignalHistory:
    """Answers about ``aligned/signals.jsonl`` of one session. Methods raise OSError and Fault (IO) if it is gone."""

    def __init__(self, index: Index, exact_bytes: int = EXACT_BYTES) -> None:
        self.index = index
        self._exact_bytes = exact_bytes
        self._tail: tuple[object, dict[Address, Values]] | None = None

    def available(self) -> dict[Address, bool]:
        """Return every signal that is a number, and whether any of it was simulated."""
        now = extent(self.index.dir, SIGNALS_FILE)
        with self.index.connected() as connection:
            state = self.index.state(connection, SIGNALS_FILE, now)
            found = {a: sim for a, (_, sim) in all_series(connection).items()} if state.segments else {}
        for address, series in self._rest(state, now).items():
            found[address] = found.get(address, False) or series.sim
        return found

    def window(self, wanted: Callable[[Address], bool], from_ns: int, to_ns: int, points: int) -> list[Series]:
        """Return the signals that are wanted with ``from_ns <= time < to_ns``, each of at most ``points``."""
        now = extent(self.index.dir, SIGNALS_FILE)
        with self.index.connected() as connection:
            state = self.index.state(connection, SIGNALS_FILE, now)
            rest = {a: series for a, series in self._rest(state, now).items() if wanted(a)}
            known = {a: id_ for a, id_ in all_series(connection).items() if wanted(a)} if state.segments else {}
            found = {a: parts(connection, id_, from_ns, to_ns) for a, (id_, _) in known.items()}
            whole = self._whole(found, from_ns, to_ns)
            exact = self._read(_ends(found, whole), wanted)
            series = []
            for address in {**known, **rest}:
                id_, sim = known.get(address, (-1, False))
                values = exact.get(address, Values()).within(from_ns, to_ns)
                values += rest.get(address, Values()).within(from_ns, to_ns)
                mine = [p.segment for p in found.get(address, []) if p.segment in whole]
                sim = sim or (address in rest and rest[address].sim)
                series.append(_series(connection, id_, Series(address, sorted(values), sim=sim), mine, points))
        check_unchanged(self.index.dir, SIGNALS_FILE, now)
        return series

    def _whole(self, found: dict[Address, list[Part]], from_ns: int, to_ns: int) -> set[int]:
        """Return the segments that are taken in blocks: none where little has to be read."""
        all_parts = [part for series in found.values() for part in series]
        if sum(end - start for start, end in {part.where for part in all_parts}) <= self._exact_bytes:
            return set()
        cut = {p.segment for p in all_parts if not (from_ns <= p.t_min and p.t_max < to_ns)}
        return {part.segment for part in all_parts} - cut

    def _rest(self, state: State, now: Extent) -> dict[Address, Values]:
        if now.size - state.offset > TAIL_BYTES:
            return {}
        key = (state.offset, state.hash, now)
        kept = self._tail
        if kept is None or kept[0] != key:
            kept = self._tail = (key, self._read([(state.offset, now.size)], None))
        return kept[1]

    def _read(self, ranges: list[Range], wanted: Callable[[Address], bool] | None) -> dict[Address, Values]:
        found: dict[Address, Values] = {}
        for where in joined(ranges):
            for batch in read_range(self.index.file(SIGNALS_FILE), Aligned, where):
                take(batch, found, wanted)
        return found


def _ends(found: dict[Address, list[Part]], whole: set[int]) -> list[Range]:
    return [part.where for series in found.values() for part in series if part.segment not in whole]


def _series(connection: sqlite3.Connection, id_: int, series: Series, segments: Sequence[int], points: int) -> Series:
    """Put the values of a signal into buckets where they are too many."""
    blocks = list(spans(connection, id_, segments))
    if not blocks and len(series.values) <= points:
        return series
    blocks += [span_of([value]) for value in series.values]
    start_ns, end_ns = min(b.t_min for b in blocks), max(b.t_max for b in blocks) + 1
    width_ns = max(1, math.ceil((end_ns - start_ns) / min(points, len(blocks))))
    buckets: dict[int, Span] = {}
    for block in blocks:
        bucket = ((block.t_min + block.t_max) // 2 - start_ns) // width_ns
        buckets[bucket] = both(buckets[bucket], block) if bucket in buckets else block
    series.spans = [buckets[bucket] for bucket in sorted(buckets)]
    series.values = []
    return series
