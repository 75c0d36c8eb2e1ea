"""The ledger of one raw stream: every line is used, late or bad, and what the stream says of itself."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any

import msgspec

from benchlab.event import META, PIPELINE, Event
from benchlab.log.reader import Batch

# How far behind the newest line of its file a line may lie where the stream does not say.
DEFAULT_DISORDER_NS = 200_000_000
MAX_DISORDER_MS = 3_600_000
NS_PER_MS = 1_000_000

# Findings of one kind in one file that are listed one by one; beyond it they are only counted.
LISTED = 20


class Finding(msgspec.Struct, omit_defaults=True):
    """Something that the operator has to know, and where it is: file, line (from 1) and byte offset."""

    kind: str
    file: str
    message: str
    offset: int | None = None
    line: int | None = None


class Counts(msgspec.Struct):
    """What became of the lines of a stream up to some offset; ``stages`` counts the used stage events."""

    lines: int = 0
    used: int = 0
    late: int = 0
    bad: int = 0
    stages: dict[str, int] = msgspec.field(default_factory=dict)

    def copy(self) -> Counts:
        """Return the counts as they are now."""
        return msgspec.structs.replace(self, stages=dict(self.stages))


class StreamLedger(msgspec.Struct):
    """The account of one raw stream.

    ``written`` counts the lines in the file, ``total`` is what the product's reader made of them, ``taken``
    the same up to where muxd has taken them. ``torn_bytes`` lie behind the last line end and are no line yet.
    ``findings`` lists the first of each kind, ``unlisted`` counts the others.
    """

    file: str
    bytes: int = 0
    written: int = 0
    torn_bytes: int = 0
    total: Counts = msgspec.field(default_factory=Counts)
    taken: Counts | None = None
    seq_jumps: int = 0
    seq_repeats: int = 0
    without_seq: int = 0
    gaps: int = 0
    gap_lines: int = 0
    unclean_ends: int = 0
    clock_steps: int = 0
    running: bool = False
    findings: list[Finding] = msgspec.field(default_factory=list)
    unlisted: int = 0


class StreamAudit:
    """Fills a StreamLedger from the batches of a StreamReader, in file order.

    ``late_offsets`` are the lines of this stream that muxd entered in ``aligned/late.jsonl``.
    """

    def __init__(self, file: str, late_offsets: Iterable[int] = ()) -> None:
        self.ledger = StreamLedger(file)
        self._late_offsets = frozenset(late_offsets)
        self._listed: dict[str, int] = {}
        self._bad_offsets: list[int] = []
        self._floor_ns = -1
        self._disorder_ns = DEFAULT_DISORDER_NS
        self._seq: int | None = None
        self._seq_offset = 0
        self._told_of_end = False

    def feed(self, batch: Batch[Event]) -> None:
        """Account for the rows and bad lines of one batch."""
        counts = self.ledger.total
        counts.lines += len(batch.rows) + len(batch.bad)
        counts.bad += len(batch.bad)
        for bad in batch.bad:
            insort(self._bad_offsets, bad.offset)
            self.find("bad_line", f"{bad.reason}: {bad.head[:80]}", bad.offset)
        for index, event in enumerate(batch.rows):
            self._check_seq(event, batch, index)
            late = self._is_late(event, batch, index)
            if event.source == META:
                self._take_meta(event, batch, index)
            if late:
                counts.late += 1
                continue
            counts.used += 1
            if event.source == PIPELINE and isinstance(stage := event.kv.get("stage"), str):
                counts.stages[stage] = counts.stages.get(stage, 0) + 1
        if batch.rows and self._seq is not None:
            self._seq_offset = batch.offset_of(len(batch.rows) - 1)

    def find(self, kind: str, message: str, offset: int | None = None) -> None:
        """Enter a finding, unless enough of its kind are listed already."""
        listed = self._listed.get(kind, 0)
        self._listed[kind] = listed + 1
        if listed < LISTED:
            self.ledger.findings.append(Finding(kind, self.ledger.file, message, offset))
        else:
            self.ledger.unlisted += 1

    def _is_late(self, event: Event, batch: Batch[Event], index: int) -> bool:
        """Say whether an earlier line vouched that nothing as old as this one would follow."""
        self._floor_ns = max(self._floor_ns, event.ts_ns - self._disorder_ns)
        if event.ts_ns < self._floor_ns:
            return True
        return bool(self._late_offsets) and batch.offset_of(index) in self._late_offsets

    def _check_seq(self, event: Event, batch: Batch[Event], index: int) -> None:
        ledger, seq, former = self.ledger, event.seq, self._seq
        if seq is None:
            ledger.without_seq += 1
            return
        self._seq = seq
        if former is None or seq == former + 1:
            return
        offset = batch.offset_of(index)
        before = batch.offset_of(index - 1) if index else self._seq_offset
        if seq <= former:
            ledger.seq_repeats += 1
            self.find("seq_repeat", f"seq {seq} follows {former}, expected {former + 1}", offset)
            return
        missing = seq - former - 1 - self._bad_between(before, offset)
        if missing > 0:
            ledger.seq_jumps += 1
            self.find("seq_jump", f"seq {seq} follows {former}: {missing} line(s) missing", offset)

    def _bad_between(self, start: int, end: int) -> int:
        """Bad lines had a seq too: they are findings of their own, not missing lines."""
        return bisect_left(self._bad_offsets, end) - bisect_left(self._bad_offsets, start)

    def _take_meta(self, event: Event, batch: Batch[Event], index: int) -> None:
        ledger, kv = self.ledger, event.kv
        kind = kv.get("event")
        if kind == "start":
            self._start(kv, batch, index)
        elif kind == "stop":
            ledger.running = False
        elif kind == "gap":
            self._gap(kv, batch, index)
        elif kind == "clock_step":
            ledger.clock_steps += 1
            step_ns = kv.get("step_ns")
            size = f" of {step_ns / NS_PER_MS:.1f} ms" if isinstance(step_ns, int) else ""
            self.find("clock_step", f"the wall clock made a step{size}", batch.offset_of(index))

    def _start(self, kv: dict[str, Any], batch: Batch[Event], index: int) -> None:
        if self.ledger.running and not self._told_of_end:
            self._unclean_end(batch.offset_of(index))
        self._told_of_end = False
        self.ledger.running = True
        disorder_ms = kv.get("disorder_ms")
        if isinstance(disorder_ms, (int, float)) and 0 <= disorder_ms <= MAX_DISORDER_MS:
            self._disorder_ns = int(disorder_ms * NS_PER_MS)
        else:
            self._disorder_ns = DEFAULT_DISORDER_NS

    def _gap(self, kv: dict[str, Any], batch: Batch[Event], index: int) -> None:
        if kv.get("why") == "unclean_end":
            self._told_of_end = True
            self._unclean_end(batch.offset_of(index))
            return
        self.ledger.gaps += 1
        lost = kv.get("n")
        known = isinstance(lost, int)
        self.ledger.gap_lines += lost if isinstance(lost, int) else 0
        count = f"{lost} line(s)" if known else "an unknown number of lines"
        self.find("gap", f"{count} lost: {kv.get('why', 'no reason given')}", batch.offset_of(index))

    def _unclean_end(self, offset: int) -> None:
        self.ledger.unclean_ends += 1
        self.find("unclean_end", "the writer had ended without a stop line before this one", offset)
