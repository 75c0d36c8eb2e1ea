"""benchctl status: how the current session, its streams and muxd fare at this moment."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import msgspec

from benchctl import summary
from benchctl.retention_status import Due, next_due
from benchctl.session_status import MuxStatus, Recent, SessionStatus, session_status
from benchctl.sessions import current_name
from benchctl.sink_status import SinkStatus
from benchctl.stream_status import StreamStatus
from benchctl.table import print_json, table
from benchctl.vm_status import VmStatistics
from benchlab import cli
from benchlab.cli import Context
from benchlab.errors import Exit
from benchlab.session import CURRENT, Session, open_session
from benchlab.session_find import find
from benchlab.session_folder import HOST, using
from benchlab.stream_story import SourceStatus

EXAMPLES = """\
  benchctl status
  benchctl status --session lab-1
  benchctl status --json | jq '.session.streams[] | {stream, rate_hz, unread_bytes}'
  watch -n 2 benchctl status"""

_UNITS = ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"))


class Status(msgspec.Struct):
    """What ``--json`` prints; ``session`` is None where there is none yet."""

    data_root: str
    session: SessionStatus | None
    retention: Due | None


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    text = "Show how a session, its streams and muxd fare at this moment. Nothing is changed."
    p = cli.parser("benchctl status", text, EXAMPLES)
    p.add_argument("--json", action="store_true", help="print JSON (docs/FORMAT.md)")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Print the status; it is no failure that there is no session yet."""
    context = cli.context(args)
    session = chosen_session(context)
    found = session_status(session, context.config.sinks.enabled) if session else None
    current = session.name if session and context.session_name == CURRENT else current_name(context)
    due = next_due(context.data_root, context.config.retention, current)
    status = Status(str(context.data_root), found, due)
    if args.json:
        print_json(status)
    else:
        print("\n".join(_lines(status)))
    return Exit.OK


def chosen_session(context: Context) -> Session | None:
    """Return the session that was named, or the current one if there is one. Raises Fault."""
    if context.session_name != CURRENT:
        return open_session(context.data_root, context.session_name, create=False)
    with using(context.data_root):
        return find(context.data_root, CURRENT, HOST)


def _lines(status: Status) -> Iterator[str]:
    if status.session is None:
        yield f"no session in {status.data_root} yet: a collector makes one, or benchctl session new"
    else:
        yield from _session_lines(status.session)
    if status.retention:
        yield f"retention  {_due(status.retention)}"


def _session_lines(session: SessionStatus) -> Iterator[str]:
    marks = ", pinned" * session.pinned + ", simulated" * session.simulated
    yield f"session    {session.name}, {session.state}, {span(session.age_s)} old{marks}"
    yield f"folder     {session.folder}"
    yield ""
    if session.streams:
        yield from _stream_table(session.streams)
        yield from _source_lines(session.streams)
    else:
        yield "no streams: start a collector, or benchctl demo"
    yield ""
    yield from _mux_lines(session.muxd)
    yield from _recent_lines(session.recent)
    if session.vmstatd:
        yield f"vms        {_vms(session.vmstatd)}"
    for sink in session.sinks:
        yield f"sink       {sink.sink}: {sink.problem or _behind(sink)}"


def _stream_table(streams: list[StreamStatus]) -> Iterator[str]:
    rows = [
        (
            stream.stream,
            stream.state + (f" (pid {stream.writer_pid})" if stream.writer_pid else ""),
            "" if stream.last_age_s is None else f"{span(stream.last_age_s)} ago",
            "" if stream.rate_hz is None else f"{stream.rate_hz:.1f}",
            stream.bytes,
            "never read" if stream.unread_bytes is None else f"{stream.unread_bytes:,}",
            _up(stream),
        )
        for stream in streams
    ]
    return table(("stream", "state", "last event", "events/s", "bytes", "unread by muxd", "sources up"), rows)


def _up(stream: StreamStatus) -> str:
    """Return how many sources are up; of a stream that nobody writes none is."""
    if stream.state in ("stopped", "dead"):
        return ""
    return f"{sum(source.state == 'up' for source in stream.sources)} of {len(stream.sources)}"


def _source_lines(streams: list[StreamStatus]) -> Iterator[str]:
    for stream in streams:
        for source in stream.sources if stream.state == "recording" else ():
            if source.state != "up":
                of = f" {source.dev}" if source.dev else ""
                yield f"{source.state:10} {source.source}{of}{_why(source)}"
    if simulated := dict.fromkeys(s.source for stream in streams for s in stream.sources if s.simulated):
        yield f"simulated  {', '.join(simulated)}"


def _why(source: SourceStatus) -> str:
    """Return a source's reason and what mends it, as ``--once`` puts it."""
    fix = f" ({source.fix})" if source.fix else ""
    return f": {source.reason}{fix}" if source.reason else ""


def _mux_lines(muxd: MuxStatus) -> Iterator[str]:
    running = "not running" if muxd.pid is None else f"running (pid {muxd.pid})" if muxd.pid else "running"
    parts = [running]
    if muxd.checkpoint_age_s is not None:
        parts += [f"checkpoint {span(muxd.checkpoint_age_s)} ago", f"generation {muxd.generation}"]
    parts += ["rebuilding"] * muxd.rebuilding + ["finished"] * muxd.final
    yield f"muxd       {', '.join(parts)}"
    if muxd.problem:
        yield f"problem    {muxd.problem}"
    if muxd.outputs:
        yield f"vouched    {', '.join(f'{out.file} {out.vouched_bytes:,} of {out.bytes:,}' for out in muxd.outputs)}"


def _recent_lines(recent: Recent | None) -> Iterator[str]:
    if recent is None:
        yield "pairs      none in the last minute"
        return
    yield f"figures    of {span(recent.covered_s)}, the last row {span(recent.last_age_s)} ago"
    yield from summary.lines(recent.summary)


def _vms(told: VmStatistics) -> str:
    """Return how vmstatd fares, as far as it says so."""
    counts = ((told.vms_monitored, "monitored"), (told.total_collections, "polls"), (told.total_errors, "errors"))
    parts = [f"{count:,} {what}" for count, what in counts if count is not None]
    if told.last_collection_age_s is not None:
        parts.append(f"the last {span(told.last_collection_age_s)} ago")
    return ", ".join(parts)


def _behind(sink: SinkStatus) -> str:
    """Return how far a sink is behind, or that it has all there is."""
    if not sink.behind_bytes:
        return "nothing stored yet"
    behind = {stream: n for stream, n in sink.behind_bytes.items() if n != 0}
    texts = [f"{stream} " + ("begins anew" if n is None else f"{n:,} bytes behind") for stream, n in behind.items()]
    return ", ".join(texts) or "up to date"


def _due(due: Due) -> str:
    what = f"raw files of {due.session}" if due.part == "raw" else f"{due.session}"
    when = "are due" if due.part == "raw" else "is due"
    return f"{what} {when} {f'in {due.in_days:.1f} days' if due.in_days > 0 else 'now'}"


def span(seconds: float) -> str:
    """Return a length of time for people: ``0.4 s``, ``12.5 min``, ``3.0 days``."""
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
