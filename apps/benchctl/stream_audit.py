"""Audits one raw file: read as muxd reads it, counted once more without the product's reader, places named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchctl.stream_ledger import Finding, StreamAudit, StreamLedger
from benchlab.event import Event
from benchlab.log.reader import ReaderState, StreamReader

_CHUNK_BYTES = 1 << 20
_BLANK = b" \t\r"


def audit_stream(
    path: Path, *, taken_to: int | None = None, late_offsets: Iterable[int] = (), ended: bool = False
) -> StreamLedger:
    """Read one raw stream to its present end and return its account; memory does not grow with the file.

    ``taken_to`` is where muxd stands in it, ``ended`` says that nobody will write to it again.
    Raises Fault (IO) when it cannot be read.
    """
    size = path.stat().st_size
    audit = StreamAudit(path.name, late_offsets)
    ledger = audit.ledger
    ledger.bytes = size
    unended = False
    with StreamReader(path, Event, limit=size) as reader:
        if taken_to is not None and taken_to < size:
            reader.restore(_read_to(path, taken_to, audit))
            ledger.taken = ledger.total.copy()
        _drain(reader, audit)
        if ended:
            audit.feed(reader.flush_held())
            unended = reader.offset == size and not _ends_a_line(path, size)
    if taken_to is not None and taken_to >= size:
        ledger.taken = ledger.total.copy()
    ledger.written, ledger.torn_bytes = count_lines(path, size)
    if unended:
        ledger.written, ledger.torn_bytes = ledger.written + 1, 0
    _judge_end(audit, taken_to, ended=ended)
    _locate(path, ledger.findings)
    return ledger


def _read_to(path: Path, limit: int, audit: StreamAudit) -> ReaderState:
    with StreamReader(path, Event, limit=limit) as reader:
        _drain(reader, audit)
        return reader.state()


def _drain(reader: StreamReader[Event], audit: StreamAudit) -> None:
    while True:
        batch = reader.read()
        audit.feed(batch)
        if batch.at_end:
            return


def _judge_end(audit: StreamAudit, taken_to: int | None, *, ended: bool) -> None:
    ledger = audit.ledger
    if ended and ledger.torn_bytes:
        offset = ledger.bytes - ledger.torn_bytes
        audit.find("torn_end", f"the file ends inside a line, after {ledger.torn_bytes} bytes of it", offset)
    if ended and ledger.running:
        ledger.unclean_ends += 1
        audit.find("unclean_end", "the last writer ended without a stop line", ledger.bytes)
    if ended and ledger.written != ledger.total.lines:
        audit.find("imbalance", f"{ledger.written} line(s) written, {ledger.total.lines} read")
    if taken_to is not None and taken_to > ledger.bytes:
        message = f"muxd has read {taken_to} bytes, but the file has only {ledger.bytes}: raw data was removed"
        audit.find("truncated", message, ledger.bytes)


def _ends_a_line(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, size - 1))
        return file.read(1) in (b"\n", b"")


def count_lines(path: Path, size: int) -> tuple[int, int]:
    """Count the lines in the first ``size`` bytes, blank ones not, and the bytes behind the last line end.

    This count knows nothing of the reader: it is what the reader's is held against.
    """
    count = torn = position = 0
    begun = False
    with path.open("rb") as file:
        while position < size and (chunk := file.read(min(_CHUNK_BYTES, size - position))):
            position += len(chunk)
            first, *rest = chunk.split(b"\n")
            begun = begun or bool(first.strip(_BLANK))
            if rest:
                count += begun + sum(1 for line in rest[:-1] if line.strip(_BLANK))
                begun = bool(rest[-1].strip(_BLANK))
                torn = 0
            torn += len(rest[-1] if rest else first)
    return count, torn


def _locate(path: Path, findings: Sequence[Finding]) -> None:
    """Give each finding that has an offset its line number."""
    offsets = [finding.offset for finding in findings if finding.offset is not None]
    numbers = line_numbers(path, offsets) if offsets else {}
    for finding in findings:
        finding.line = None if finding.offset is None else numbers[finding.offset]


def line_numbers(path: Path, offsets: Iterable[int]) -> dict[int, int]:
    """Return the line number, from 1 and as an editor counts, of each byte offset."""
    numbers: dict[int, int] = {}
    line, position = 1, 0
    with path.open("rb") as file:
        for offset in sorted(set(offsets)):
            while position < offset and (chunk := file.read(min(_CHUNK_BYTES, offset - position))):
                position += len(chunk)
                line += chunk.count(b"\n")
            numbers[offset] = line
    return numbers
