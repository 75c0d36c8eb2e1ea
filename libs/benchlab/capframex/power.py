"""What a session recorded beside its frames: power, temperature and load series around the exported stretch.

They come from the raw streams. Where those are gone (they are kept for a shorter time) or hold no power, the
1 Hz rows of ``aligned/signals.jsonl`` serve.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from benchlab.event import Aligned, Event
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.query.aligned import SIGNALS_FILE, read_aligned

Key = tuple[str, str]
"""A source (which may hold ``*``) and one of its keys: ("gpu.nvml", "power_w")."""


@dataclass
class Series:
    """Samples of one key of one device, by time: ns of the session's timeline, and the unit of the key."""

    source: str
    dev: str
    key: str
    ts_ns: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    simulated: bool = False

    def add(self, ts_ns: int, value: float) -> None:
        """Take a sample, in any order of time."""
        if self.ts_ns and ts_ns < self.ts_ns[-1]:
            at = bisect_left(self.ts_ns, ts_ns)
            self.ts_ns.insert(at, ts_ns)
            self.values.insert(at, value)
            return
        self.ts_ns.append(ts_ns)
        self.values.append(value)


@dataclass(frozen=True)
class Signal:
    """One or several series that are added up, under the name by which the export calls them."""

    name: str
    parts: tuple[Series, ...]

    @property
    def simulated(self) -> bool:
        """Tell whether any part was made by a simulator."""
        return any(part.simulated for part in self.parts)


class Recorded:
    """The series that were found, by address."""

    def __init__(self, wanted: Iterable[Key]) -> None:
        self._wanted = sorted(set(wanted))
        self._keys: dict[str, list[str]] = {}
        self._series: dict[tuple[str, str, str], Series] = {}

    def take(self, row: Event | Aligned, ts_ns: int) -> None:
        """Take what is wanted of an event, or of a row of signals."""
        keys = self._keys.get(row.source)
        if keys is None:
            keys = self._keys[row.source] = [k for s, k in self._wanted if fnmatchcase(row.source, s)]
        for key in keys:
            value = row.kv.get(key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
                continue
            address = (row.source, row.dev or "", key)
            series = self._series.get(address)
            if series is None:
                series = self._series[address] = Series(*address)
            series.add(ts_ns, float(value))
            series.simulated = series.simulated or row.sim

    def find(self, wanted: Key) -> list[Series]:
        """Return the series of the first source, by name, that the pattern matches and that has two samples.

        Several devices of one source (two GPUs) stand beside each other; several sources may measure the same
        power twice, so only one of them counts.
        """
        pattern, key = wanted
        fitting = [
            series
            for (source, _, k), series in sorted(self._series.items())
            if k == key and fnmatchcase(source, pattern) and len(series.ts_ns) > 1
        ]
        return [series for series in fitting if series.source == fitting[0].source]

    def signal(self, entry: Sequence[Key]) -> Signal | None:
        """Return the sum of an entry's members; None unless each of them was recorded."""
        found = [self.find(member) for member in entry]
        if not found or not all(found):
            return None
        name = "+".join(f"{members[0].source}:{members[0].key}" for members in found)
        return Signal(name, tuple(series for members in found for series in members))


def load(session_dir: Path, wanted: Sequence[Key], from_ns: int, to_ns: int) -> tuple[Recorded, str]:
    """Return what a session recorded of some keys between two times, and whether from raw or signals."""
    recorded = Recorded(wanted)
    for event in _raw_events(session_dir / "raw"):
        if from_ns <= event.ts_ns <= to_ns:
            recorded.take(event, event.ts_ns)
    if any(recorded.find(key) for key in wanted):
        return recorded, "raw"
    recorded = Recorded(wanted)
    for row in read_aligned(session_dir, SIGNALS_FILE):
        if from_ns <= row.ts_aligned_ns <= to_ns:
            recorded.take(row, row.ts_aligned_ns)
    return recorded, "signals"


def _raw_events(raw: Path) -> Iterator[Event]:
    """Yield the events of every stream but the frames' own, stream by stream."""
    for path in sorted(raw.glob("*.jsonl")):
        if path.name.startswith("pipeline"):
            continue
        with StreamReader(path, Event) as reader:
            at_end = False
            while not at_end:
                try:
                    batch = reader.read()
                except RawChanged:  # retention took it away: what was read until here stands
                    break
                at_end = batch.at_end
                yield from batch.rows


def reference_entries(power_sources: Sequence[Sequence[str]]) -> list[list[Key]]:
    """Return the entries of ``[mux].power_sources`` as keys, in their order of preference."""
    entries = []
    for entry in power_sources:
        split = [member.partition(":") for member in entry]
        entries.append([(source, key) for source, _, key in split])
    return entries
