"""cx_exporter: writes what CapFrameX imports, and judges whether a file is such."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from benchlab import cli
from benchlab.capframex import export
from benchlab.capframex.about import check_application
from benchlab.capframex.export import Report, Request
from benchlab.capframex.frames import Selection
from benchlab.daemon.notify import Notifier
from benchlab.daemon.stopping import Stopped, stopping_at_once
from benchlab.errors import Exit, Fault
from benchlab.query.aligned import Pair
from benchlab.session import Session, open_session
from cx_exporter import check
from cx_exporter.bounds import parse
from cx_exporter.progress import Progress
from cx_exporter.watch import Watch, stem_of

EXAMPLES = """\
  cx_exporter --session dev --stage-a ingress --stage-b encoded --out /tmp/presentmon.csv
  cx_exporter --metric interval --drops omit          true frame rates of completed frames
  cx_exporter --from 10 --to 70                       a minute, from the tenth second on
  cx_exporter --check /tmp/presentmon.csv /tmp/presentmon.json
  cx_exporter --watch                                 every session that is closed, into cx_export.watch_dir
"""

# What makes no sense for all sessions and all their pairs.
OF_ONE_EXPORT = {
    "session": "--session",
    "stage_a": "--stage-a",
    "stage_b": "--stage-b",
    "out": "--out",
    "flow": "--flow",
    "start": "--from",
    "end": "--to",
    "check": "--check",
}

log = logging.getLogger("cx_exporter")


def _parser() -> argparse.ArgumentParser:
    p = cli.parser("cx_exporter", "Write a session's latency as CSV and JSON for CapFrameX.", EXAMPLES)
    p.add_argument("--stage-a", metavar="STAGE", help="start stage (CX_STAGE_A, pipeline.stage_a)")
    p.add_argument("--stage-b", metavar="STAGE", help="end stage (CX_STAGE_B, pipeline.stage_b)")
    p.add_argument("--application", metavar="NAME", help="name of the capture (CX_APP)")
    p.add_argument("--out", type=Path, metavar="FILE", help="default: SESSION/cx-export/A_to_B.csv, JSON beside it")
    p.add_argument("--metric", choices=("latency", "interval"), default="latency", help="what MsBetweenPresents is")
    p.add_argument("--format", choices=("csv", "json", "both"), default="both", help="JSON carries the power charts")
    p.add_argument("--drops", choices=("rows", "omit"), default="rows", help="dropped frames as rows, or not at all")
    p.add_argument("--flow", metavar="NAME", help="only the frames of one flow")
    p.add_argument("--from", dest="start", metavar="TIME", help="seconds from the first row, or ISO 8601")
    p.add_argument("--to", dest="end", metavar="TIME", help="likewise; this instant itself is left out")
    p.add_argument(
        "--check",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="judge files by CapFrameX's rules, export nothing",
    )
    p.add_argument("--watch", action="store_true", help="export every session when it is closed, until stopped")
    p.add_argument("--json", action="store_true", help="report as JSON on stdout")
    return p


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    p = _parser()
    args = p.parse_args(argv)
    for name, flag in OF_ONE_EXPORT.items():
        if args.watch and getattr(args, name) is not None:
            p.error(f"{flag} goes with one export: --watch exports all pairs of all sessions")
    if args.check:
        return check.run(args.check, args.json)
    overrides = {
        "pipeline.stage_a": (args.stage_a, "--stage-a"),
        "pipeline.stage_b": (args.stage_b, "--stage-b"),
        "cx_export.application_name": (args.application, "--application"),
    }
    context = cli.context(args, overrides)
    if args.watch:
        return _watch(args, context)
    session = open_session(context.data_root, context.session_name, create=False)
    pair = (context.config.pipeline.stage_a, context.config.pipeline.stage_b)
    request = _request(args, context, session, pair, _csv_path(args.out, session, pair))
    report = export.run(request, Progress(sys.stderr))
    _print(report, args.json)
    _tell(report)
    return report.code


def _watch(args: argparse.Namespace, context: cli.Context) -> int:
    """Export sessions as they are closed, until a signal comes."""
    settings = context.config.cx_export
    check_application(settings.application_name)
    notifier = Notifier()
    if not settings.enabled:
        notifier.send("READY=1")  # else ending now were a failure to start
        log.info("cx_export.enabled is false: nothing is exported")
        return Exit.OK

    def export_pair(session: Session, pair: Pair, stem: Path) -> Report:
        csv = stem.with_name(f"{stem.name}.csv")
        request = _request(args, context, session, pair, csv, spool_dir=session.cx_export)
        return export.run(request, Progress(sys.stderr, beat=notifier.alive))

    def tell(report: Report) -> None:
        _print(report, args.json)
        a, b = report.pair
        log.info("session %s, %s to %s: %d frames, %d dropped", report.session, a, b, report.frames, report.dropped)
        for line in report.problems:
            log.warning("session %s, %s to %s: %s", report.session, a, b, line)

    folder = Path(settings.watch_dir).expanduser()
    try:
        with stopping_at_once():
            Watch(context.data_root, folder, export_pair, tell, notifier).serve()
    except Stopped:
        return Exit.OK


def _request(
    args: argparse.Namespace,
    context: cli.Context,
    session: Session,
    pair: Pair,
    csv: Path,
    spool_dir: Path | None = None,
) -> Request:
    mux = context.config.mux
    return Request(
        session=session,
        chosen=Selection(pair, flow=args.flow, drops=args.drops == "rows"),
        application=check_application(context.config.cx_export.application_name),
        metric=args.metric,
        csv=csv if args.format != "json" else None,
        json=csv.with_suffix(".json"),
        wants_json=args.format != "csv",
        spool_dir=spool_dir,
        start=parse("--from", args.start) if args.start is not None else None,
        end=parse("--to", args.end) if args.end is not None else None,
        power_sources=mux.power_sources,
        max_gap_ns=mux.max_gap_ms * 1_000_000,
    )


def _csv_path(out: Path | None, session: Session, pair: tuple[str, str]) -> Path:
    """Return where the CSV goes; the JSON stands beside it. Raises Fault for a place that cannot be."""
    name = f"{stem_of(pair)}.csv"
    if out is None:
        return session.cx_export / name
    path = out / name if out.is_dir() else out
    if path.suffix not in (".csv", ".json"):
        raise Fault(f"--out {out}: expected a name that ends in .csv: CapFrameX takes no other", Exit.USAGE)
    if path.name.endswith("-stats.csv") or path.name == "FrameView_Summary.csv":
        raise Fault(f"--out {out}: CapFrameX passes over *-stats.csv and FrameView_Summary.csv: rename it", Exit.USAGE)
    if not path.parent.is_dir():
        raise Fault(f"--out {out}: there is no folder {path.parent}: create it first", Exit.IO)
    return path.with_suffix(".csv")


def _print(report: Report, as_json: bool) -> None:
    """Print the files, or all of the report, on stdout."""
    if as_json:
        print(report.as_json(), flush=True)
    else:
        for path in (report.csv, report.json):
            if path is not None:
                print(path, flush=True)


def _tell(report: Report) -> None:
    """Say on stderr what a reader must know."""
    if report.rows:
        marked = f", {report.simulated}" if report.simulated else ""
        print(f"cx_exporter: {report.frames} frames, {report.dropped} dropped{marked}", file=sys.stderr)
    for line in report.notes + report.problems:
        print(f"cx_exporter: {line}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
