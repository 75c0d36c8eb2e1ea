"""Reading ``aligned/*.jsonl``: the rows in their order, the pairs there are, one pair in one stretch of time.

Everything streams: memory does not grow with the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchlab.event import Aligned
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.log.vouched import read_vouched

LATENCY = "metric.latency"
DROPPED = "metric.dropped"

LATENCY_FILE = "latency.jsonl"
SIGNALS_FILE = "signals.jsonl"

Pair = tuple[str, str]


class PairCount(msgspec.Struct):
    """How many rows a pair has, and the stretch of time they cover (ns of the session's timeline)."""

    first_ns: int
    last_ns: int
    frames: int = 0
    drops: int = 0


class AlignedReader:
    """Iterates over the rows of one aligned file as it was when the reader was made.

    Rows beyond what muxd has vouched for may still change; ``provisional=False`` leaves them out. A bad line
    is counted in ``bad`` and skipped. A file that is not there has no rows. If muxd rewrites the file
    meanwhile, the rows end there and ``changed`` says so. Raises Fault (IO) when the file cannot be read.
    ``ranges`` are all the bytes that are read, from where lines begin to where lines begin, where an index knows them.
    """

    def __init__(
        self,
        session_dir: Path,
        name: str = LATENCY_FILE,
        *,
        provisional: bool = True,
        ranges: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.path = session_dir / "aligned" / name
        vouched = read_vouched(session_dir / "state")
        self.exists = self.path.is_file()
        self.size = self.path.stat().st_size if self.exists else 0
        self.final = vouched is not None and vouched.final
        self.vouched_bytes = min(self.size, vouched.outputs.get(name, 0)) if vouched else self.size
        self.end = self.size if provisional else self.vouched_bytes
        self._ranges = [(0, self.end)] if ranges is None else ranges
        self.bad = 0
        self.offset = 0
        self.changed = False

    @property
    def provisional(self) -> bool:
        """Tell whether rows are read that muxd may still decide again."""
        return self.end > self.vouched_bytes

    def __iter__(self) -> Iterator[Aligned]:
        self.bad = self.offset = 0
        self.changed = False
        for start, end in self._ranges if self.exists else ():
            self.offset = start
            yield from self._between(start, min(end, self.end))
            if self.changed:
                return

    def _between(self, start: int, end: int) -> Iterator[Aligned]:
        with StreamReader(self.path, Aligned, start, limit=end) as reader:
            at_end = False
            while not at_end and self.offset < end:
                try:
                    batch = reader.read()
                except RawChanged:
                    self.changed = True
                    return
                self.bad += len(batch.bad)
                self.offset = batch.end
                at_end = batch.at_end
                yield from batch.rows


def read_aligned(session_dir: Path, name: str = LATENCY_FILE, provisional: bool = True) -> Iterator[Aligned]:
    """Return the rows of an aligned file, in its order; AlignedReader also counts the bad lines."""
    return iter(AlignedReader(session_dir, name, provisional=provisional))


def pair_of(row: Aligned) -> Pair | None:
    """Return the pair of stages a row belongs to; None for a row that names none."""
    pair = row.kv.get("pair")
    if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str):
        return pair[0], pair[1]
    return None


def select(
    rows: Iterable[Aligned], pair: Pair | None = None, from_ns: int | None = None, to_ns: int | None = None
) -> Iterator[Aligned]:
    """Return the rows of one pair with ``from_ns <= ts_aligned_ns < to_ns``; None does not restrict."""
    for row in rows:
        if pair is not None and pair_of(row) != pair:
            continue
        if from_ns is not None and row.ts_aligned_ns < from_ns:
            continue
        if to_ns is not None and row.ts_aligned_ns >= to_ns:
            continue
        yield row


def pairs(rows: Iterable[Aligned]) -> dict[Pair, PairCount]:
    """Return the pairs that rows belong to, in the order of their first row, with how many each has."""
    found: dict[Pair, PairCount] = {}
    for row in rows:
        pair = pair_of(row)
        if pair is None or row.source not in (LATENCY, DROPPED):
            continue
        ts_ns = row.ts_aligned_ns
        count = found.setdefault(pair, PairCount(ts_ns, ts_ns))
        count.first_ns, count.last_ns = min(count.first_ns, ts_ns), max(count.last_ns, ts_ns)
        if row.source == LATENCY:
            count.frames += 1
        else:
            count.drops += 1
    return found
