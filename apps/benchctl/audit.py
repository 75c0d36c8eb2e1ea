"""The audit of a session folder: all ledgers, and what in them does not add up. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchctl.mux_state import FILE as MUX_FILE
from benchctl.mux_state import MuxState, Taken, read_mux_state
from benchctl.pair_ledger import PairAudit, PairLedger
from benchctl.stream_audit import audit_stream
from benchctl.stream_ledger import Counts, Finding, StreamLedger
from benchlab.event import Aligned
from benchlab.log.reader import StreamReader
from benchlab.query.aligned import LATENCY_FILE

LATE_FILE = "late.jsonl"

STAMP_FRAME = (
    "pairs were matched by order, which is right only while latency is under one frame interval: "
    "stamp `frame` on the stage events"
)
NOT_RUN = "muxd has not run on this session: only the raw streams were judged"
NOT_FINISHED = "muxd has not finished this closed session: run muxd --once on it to have it judged to the end"
REBUILDING = "muxd is making the aligned files anew: only the raw streams were judged"
STILL_OPEN = "the session is open: events that still wait for their partner are not judged"


class LateLine(msgspec.Struct):
    """A line of ``late.jsonl``: a raw line that turned up too late to be used."""

    stream: str
    offset: int


class Report(msgspec.Struct):
    """The whole audit; ``finished`` if muxd has decided everything, ``findings`` empty if all is in order."""

    session: str
    closed: bool
    finished: bool
    streams: list[StreamLedger]
    pairs: list[PairLedger]
    findings: list[Finding]
    advice: list[str]


def audit_session(folder: Path, *, closed: bool) -> Report:
    """Audit a session folder; ``closed`` says that nobody writes to it. Raises Fault (IO), OSError."""
    findings: list[Finding] = []
    state = _state(folder, findings)
    late = _late_offsets(folder, state)
    streams = [
        audit_stream(
            path,
            taken_to=state.streams[path.name].offset if state and path.name in state.streams else None,
            late_offsets=late.get(path.name, ()),
            ended=closed,
        )
        for path in sorted((folder / "raw").glob("*.jsonl"))
    ]
    finished = state is not None and state.final and closed and not state.rebuilding
    pairs: list[PairLedger] = []
    for ledger in streams:
        findings += ledger.findings
    if state is not None and not state.rebuilding:
        findings += _judge_taken(streams, state, finished=finished)
        findings += _judge_outputs(folder, state, finished=finished)
        pairs = _audit_pairs(folder, state, streams, findings, finished=finished)
    advice = _advice(state, pairs, closed=closed, finished=finished)
    return Report(folder.name, closed, finished, streams, pairs, findings, advice)


def _state(folder: Path, findings: list[Finding]) -> MuxState | None:
    try:
        return read_mux_state(folder / "state")
    except ValueError as error:
        message = f"found {error}, expected muxd's checkpoint: start muxd on the session, it rebuilds from raw"
        findings.append(Finding("checkpoint", f"state/{MUX_FILE}", message))
        return None


def _late_offsets(folder: Path, state: MuxState | None) -> dict[str, list[int]]:
    """Return the offsets of the raw lines that muxd has vouched to leave out, by stream."""
    path = folder / "aligned" / LATE_FILE
    if state is None or not path.exists():
        return {}
    data = path.read_bytes()[: state.outputs.get(LATE_FILE, 0)]
    offsets: dict[str, list[int]] = {}
    for line in msgspec.json.Decoder(LateLine).decode_lines(data):
        offsets.setdefault(line.stream, []).append(line.offset)
    return offsets


def _judge_taken(streams: list[StreamLedger], state: MuxState, *, finished: bool) -> list[Finding]:
    """Hold muxd's own counts, up to where it stands, against the audit's."""
    findings = []
    for ledger in streams:
        taken = state.streams.get(ledger.file)
        if taken is None:
            if finished and ledger.total.lines:
                message = f"muxd has not taken any of its {ledger.total.lines} line(s)"
                findings.append(Finding("imbalance", ledger.file, message))
            continue
        findings += _compare(ledger, taken)
        behind = ledger.total.lines - (ledger.taken or ledger.total).lines
        if finished and behind:
            message = f"{behind} line(s) lie beyond where muxd finished"
            findings.append(Finding("imbalance", ledger.file, message, taken.offset))
    known = {ledger.file for ledger in streams}
    for name in sorted(state.streams.keys() - known) if known else ():
        message = f"muxd has read {state.streams[name].offset} bytes of it, but the file is gone"
        findings.append(Finding("orphan_state", name, message))
    return findings


def _compare(ledger: StreamLedger, taken: Taken) -> Iterable[Finding]:
    ours = ledger.taken or Counts()
    for what in ("lines", "late", "bad"):
        theirs, mine = getattr(taken, what), getattr(ours, what)
        if theirs is not None and theirs != mine:
            message = f"muxd counted {theirs} {what} up to byte {taken.offset}, the file has {mine}"
            yield Finding("imbalance", ledger.file, message, taken.offset)


def _judge_outputs(folder: Path, state: MuxState, *, finished: bool) -> list[Finding]:
    """Hold the aligned files against the lengths that muxd vouches for."""
    findings = []
    for name, vouched in sorted(state.outputs.items()):
        where = name if "/" in name else f"aligned/{name}"  # quarantine/ lies beside aligned/
        path = folder / where
        size = path.stat().st_size if path.exists() else 0
        if size < vouched:
            message = f"{size} bytes long, but muxd vouches for {vouched}: start muxd, it rebuilds from raw"
            findings.append(Finding("short_output", where, message, size))
        elif finished and size > vouched:
            message = f"{size - vouched} bytes lie beyond the {vouched} that muxd vouches for"
            findings.append(Finding("long_output", where, message, vouched))
    return findings


def _audit_pairs(
    folder: Path, state: MuxState, streams: list[StreamLedger], findings: list[Finding], *, finished: bool
) -> list[PairLedger]:
    """Return the pairs' ledgers; with raw trimmed away there is nothing to hold them against."""
    file = f"aligned/{LATENCY_FILE}"
    audit = PairAudit(state.settings.pairs)
    limit = state.outputs.get(LATENCY_FILE, 0)
    with StreamReader(folder / "aligned" / LATENCY_FILE, Aligned, limit=limit) as reader:
        while True:
            batch = reader.read()
            audit.feed(batch.rows)
            findings += [Finding("bad_row", file, f"{bad.reason}: {bad.head[:80]}", bad.offset) for bad in batch.bad]
            if batch.at_end:
                break
    if streams:
        findings += audit.settle(_stages(streams), file, finished=finished)
    return list(audit.ledgers.values())


def _stages(streams: list[StreamLedger]) -> dict[str, int]:
    stages: dict[str, int] = {}
    for ledger in streams:
        for stage, count in (ledger.taken or Counts()).stages.items():
            stages[stage] = stages.get(stage, 0) + count
    return stages


def _advice(state: MuxState | None, pairs: list[PairLedger], *, closed: bool, finished: bool) -> list[str]:
    advice = []
    if state is None:
        advice.append(NOT_RUN)
    elif state.rebuilding:
        advice.append(REBUILDING)
    elif not closed:
        advice.append(STILL_OPEN)
    elif not finished:
        advice.append(NOT_FINISHED)
    if any(ledger.matched_by_order for ledger in pairs):
        advice.append(STAMP_FRAME)
    return advice
