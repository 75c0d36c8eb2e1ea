"""benchctl verify: the conservation ledger of a session, and every place where it does not add up."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import msgspec

from benchctl.audit import Report, audit_session
from benchctl.pair_ledger import PairLedger
from benchctl.stream_ledger import Finding, StreamLedger
from benchctl.table import print_json, table
from benchlab import cli
from benchlab.errors import Exit, Fault
from benchlab.session import open_session

EXAMPLES = """\
  benchctl verify lab-1
  benchctl verify lab-1 --json | jq .findings
exit codes: 0 balanced, 1 a finding; drops with their reason are no finding"""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    text = "Check that every recorded line and every stage event of a session is accounted for."
    p = cli.parser("benchctl verify", text, EXAMPLES)
    p.add_argument("name", nargs="?", metavar="SESSION", help="session (default: --session, else the current one)")
    p.add_argument("--json", action="store_true", help="print the ledger as JSON")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Print the ledger; exit 1 if there is a finding."""
    context = cli.context(args)
    session = open_session(context.data_root, args.name or context.session_name, create=False)
    if session.problem:
        raise Fault(session.problem, Exit.IO)
    report = audit_session(session.dir, closed=session.is_bare or session.info.closed)
    if args.json:
        print_json(document(report))
    else:
        _print(report)
    return Exit.FINDING if report.findings else Exit.OK


def document(report: Report) -> dict[str, object]:
    """Return the report for ``--json``: the ledgers, the findings once, and the verdict."""
    built: dict[str, object] = msgspec.to_builtins(report)
    for stream in built["streams"]:  # type: ignore[attr-defined]
        del stream["findings"]
    return {"balanced": not report.findings, **built}


def place(finding: Finding) -> str:
    """Return where a finding is: ``telemetry.jsonl:17 (byte 1234)``."""
    line = f":{finding.line}" if finding.line is not None else ""
    offset = f" (byte {finding.offset})" if finding.offset is not None else ""
    return f"{finding.file}{line}{offset}"


def _print(report: Report) -> None:
    how = "finished" if report.finished else "closed" if report.closed else "open"
    print(f"session {report.session} ({how})")
    for text in ("", *_stream_table(report.streams)):
        print(text)
    if report.pairs:
        for text in ("", *_pair_table(report.pairs)):
            print(text)
    print()
    for finding in report.findings:
        print(f"{finding.kind}: {place(finding)}: {finding.message}")
    for stream in report.streams:
        if stream.unlisted:
            print(f"{stream.file}: {stream.unlisted:,} more of the kinds above, not listed")
    for advice in report.advice:
        print(f"note: {advice}")
    count = len(report.findings) + sum(stream.unlisted for stream in report.streams)
    print(f"{count:,} finding(s)" if count else "balanced")


def _stream_table(streams: list[StreamLedger]) -> Iterator[str]:
    ledger = ("written", "read", "used", "late", "bad")
    story = ("seq jumps", "seq repeats", "gaps", "unclean ends", "clock steps")
    rows = [
        (
            *(s.file, s.written, s.total.lines, s.total.used, s.total.late, s.total.bad),
            *(s.seq_jumps, s.seq_repeats, s.gaps, s.unclean_ends, s.clock_steps),
        )
        for s in streams
    ]
    return table(("stream", *ledger, *story), rows)


def _pair_table(pairs: list[PairLedger]) -> Iterator[str]:
    titles = ("pair", "stage", "events", "in pairs", "dropped", "pending", "dropped by reason")
    rows = [
        (
            " → ".join(ledger.pair),
            stage,
            ledger.events.get(stage, 0),
            ledger.pairs,
            ledger.dropped(stage),
            ledger.pending.get(stage, 0),
            ", ".join(f"{reason} {count:,}" for reason, count in sorted(ledger.drops.get(stage, {}).items())),
        )
        for ledger in pairs
        for stage in ledger.pair
    ]
    return table(titles, rows)
