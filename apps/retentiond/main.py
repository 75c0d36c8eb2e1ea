"""retentiond: trims old sessions, once or every day."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable

from benchlab import cli
from benchlab.daemon.notify import Notifier
from benchlab.daemon.stopping import Stopped, stopping_at_once
from benchlab.errors import Exit
from benchlab.session import sessions_root
from retentiond.daily import Daily
from retentiond.progress import progress
from retentiond.report import Report
from retentiond.sinks import unconsumed_by_sinks
from retentiond.trimmer import Policy, Trimmer, free_bytes_of

EXAMPLES = """\
  retentiond --run-once --dry-run            what would be deleted, and what is kept and why
  retentiond --days 90 --raw-keep-days 7 --run-once
  retentiond                                 now, and then every day
"""

BYTES_PER_GB = 1_000_000_000

log = logging.getLogger("retentiond")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = cli.parser("retentiond", "Delete old sessions, and their raw data before that.", EXAMPLES)
    p.add_argument("--days", type=int, metavar="N", help="keep sessions so long (retention.days)")
    p.add_argument("--raw-keep-days", type=int, metavar="N", help="keep raw data so long (retention.raw_keep_days)")
    p.add_argument("--run-once", action="store_true", help="run once and exit; 1: something could not be deleted")
    p.add_argument("--dry-run", action="store_true", help="run once, delete nothing, say what would be deleted")
    p.add_argument("--json", action="store_true", help="report as JSON on stdout, one line a run")
    return p


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    p = parser()
    args = p.parse_args(argv)
    if args.session:
        p.error("--session: retention sees to all sessions; benchctl session pin protects one")
    overrides = {
        "retention.days": (args.days, "--days"),
        "retention.raw_keep_days": (args.raw_keep_days, "--raw-keep-days"),
    }
    context = cli.context(args, overrides)
    if not (args.run_once or args.dry_run):
        return serve(context, args.json)
    report = run_once(context, args.dry_run, args.json)
    for finding in report.findings():
        print(f"retentiond: {finding}", file=sys.stderr)
    return report.code


def run_once(context: cli.Context, dry_run: bool, as_json: bool, beat: Callable[[], object] = lambda: None) -> Report:
    """Do one run and tell about it on stdout; ``beat`` is called after each session. Raises Fault, OSError."""
    retention = context.config.retention
    policy = Policy(retention.days, retention.raw_keep_days, _min_free_bytes(context))
    with progress(sys.stderr) as show:

        def on_session(done: int, total: int) -> None:
            show(done, total)
            beat()

        report = Trimmer(
            context.data_root,
            policy,
            lambda session, stays: unconsumed_by_sinks(session, context.config.sinks, stays=stays),
            dry_run=dry_run,
            on_session=on_session,
        ).run()
    for line in [report.as_json()] if as_json else report.lines():
        print(line, flush=True)
    return report


def serve(context: cli.Context, as_json: bool) -> int:
    """Run every day until a signal comes."""
    root = sessions_root(context.data_root)

    def is_low() -> bool:
        return root.is_dir() and free_bytes_of(root) < _min_free_bytes(context)

    notifier = Notifier()
    try:
        with stopping_at_once():
            Daily(lambda: run_once(context, False, as_json, notifier.alive), is_low, notifier).serve()
    except Stopped:
        log.info("stopped")
        return Exit.OK


def _min_free_bytes(context: cli.Context) -> int:
    return round(context.config.retention.min_free_gb * BYTES_PER_GB)


if __name__ == "__main__":
    raise SystemExit(main())
