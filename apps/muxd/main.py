"""muxd: raw streams to one timeline; pairs stages, annotates power and energy, serves /metrics."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchlab import cli
from benchlab.cli import Context
from benchlab.config import Config, load
from benchlab.config_schema import Sinks
from benchlab.daemon.notify import Notifier
from benchlab.errors import Exit
from benchlab.session import CURRENT, Session, open_session
from muxd.live import Loop
from muxd.metrics import Metrics
from muxd.once import end_here, mux_once
from muxd.opening import Opener, Progress
from muxd.progress import progress_of
from muxd.replay import differences, replay_into
from muxd.scrape import ScrapeServer
from muxd.settings import NS_PER_MS, settings_of
from muxd.sinks.runner import Configured, SinkRunner
from muxd.sitting import Sitting, lock_of

Pairs = Sequence[Sequence[str]]

EXAMPLES = """\
  muxd --session dev --pair ingress encoded
  muxd --pair ingress encoded --pair encoded inference_done --prom-bind 127.0.0.1:9109
  muxd --session dev --sink sqlite                        tables for benchctl query
  muxd --session 2025-11-11T14-30-00Z --replay            compare aligned/ with what raw/ gives
  muxd --session dev --pair ingress encoded --replay --out /tmp/again
"""


def parser() -> argparse.ArgumentParser:
    """Return muxd's command line."""
    p = cli.parser("muxd", "Align a session's streams, pair stages, annotate power and energy.", EXAMPLES)
    p.add_argument(
        "--pair",
        nargs=2,
        action="append",
        metavar=("A", "B"),
        help="stages whose distance is a latency (repeatable; default: [pipeline] stage_a stage_b)",
    )
    p.add_argument("--prom-bind", metavar="HOST:PORT", help="where /metrics is served (default: 0.0.0.0:9109)")
    p.add_argument(
        "--sink",
        action="append",
        default=[],
        choices=Sinks.__struct_fields__,
        help="also keep the rows there (repeatable; default: what [sinks] switches on)",
    )
    how = p.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="take in what is there, write, exit")
    how.add_argument("--replay", action="store_true", help="compute all from raw/ and compare: 1 if it differs")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, metavar="DIR", help="with --replay: write into DIR instead")
    where.add_argument("--write", action="store_true", help="with --replay: replace aligned/ by the result")
    p.add_argument("--ignore-late", action="store_true", help="with --replay: also use lines that came too late")
    return p


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run muxd; see ``--help``."""
    p = parser()
    args = p.parse_args(argv)
    if not args.replay and (args.out or args.write or args.ignore_late):
        p.error("--out, --write and --ignore-late go with --replay")
    if args.write and args.ignore_late:
        p.error("--ignore-late shows another result, it cannot be kept: use it with --out")
    flags = {f"sinks.{name}": (True, f"--sink {name}") for name in args.sink}
    context = cli.context(args, {"prometheus.bind": (args.prom_bind, "--prom-bind"), **flags})
    session = session_of(context, create=not args.replay)
    if args.replay:
        return replay(args, opener_of(context.config, args.pair, session), session)
    loaded = context.loaded
    sinks = SinkRunner(Configured(loaded.config, loaded.path, lambda: load(loaded.path, overrides=flags).config))
    if args.once:
        with only_muxd(session):
            return once(opener_of(context.config, args.pair, session), session, sinks)
    return serve(context, session, args.pair, sinks)


@contextmanager
def only_muxd(session: Session) -> Iterator[None]:
    """Be the session's only muxd for a while. Raises Fault (IO)."""
    lock = lock_of(session)
    try:
        yield
    finally:
        lock.release()


def once(opener: Opener, session: Session, sinks: SinkRunner) -> int:
    """Mux what is there and have the sinks store what is vouched for."""
    code = mux_once(opener, session)
    sinks.add(session)
    sinks.close()
    return code


def serve(context: Context, session: Session, pairs: Pairs | None, sinks: SinkRunner) -> int:
    """Mux live and serve /metrics until the session is closed or a signal comes."""
    config = context.config
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    metrics = Metrics(settings_of(config, pairs, session.info).pairs, more=sinks.families)

    notifier = Notifier()

    def sit(found: Session) -> Sitting:
        return Sitting(found, opener_of(config, pairs, found, metrics, lambda size: notifier.alive()), sinks)

    follow = partial(session_of, context, create=False) if context.session_name == CURRENT else None
    loop = Loop(session, sit, stop, metrics.see, notifier, follow)
    server = ScrapeServer(config.prometheus.bind, metrics.render, loop.healthy)
    server.start()
    sinks.start()
    try:
        return loop.run()
    finally:
        sinks.close(hurry=stop.is_set)
        server.close()


def session_of(context: Context, create: bool = True) -> Session:
    """Return the session that the command line names. Raises Fault."""
    return open_session(
        context.data_root,
        context.session_name,
        create=create,
        node=context.config.general.node_name,
        config_digest=context.loaded.digest,
    )


def opener_of(
    config: Config,
    pairs: Pairs | None,
    session: Session,
    observer: Metrics | None = None,
    on_progress: Progress | None = None,
) -> Opener:
    """Return what opens a session's muxing as configured."""
    settings = settings_of(config, pairs, session.info)
    return Opener(session, settings, config.mux.lateness_ms * NS_PER_MS, observer=observer, on_progress=on_progress)


def replay(args: argparse.Namespace, opener: Opener, session: Session) -> int:
    """Replay a closed or open session as the flags say."""
    with progress_of(session, "replay") as on_progress:
        if args.out:
            replay_into(opener, args.out, args.ignore_late, on_progress)
            return Exit.OK
        if args.write:
            with only_muxd(session):
                mux = opener.rebuild("--replay --write", on_progress)
                end_here(mux, session)
                mux.close()
            return Exit.OK
        found = differences(opener, session, args.ignore_late, on_progress)
    for line in found:
        print(line)
    return Exit.FINDING if found else Exit.OK


if __name__ == "__main__":
    raise SystemExit(main())
