"""benchctl demo: the whole product at work on simulated devices, or on the recorded sample."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchctl.children import Crew
from benchctl.dashboard import Dashboard, can_serve, check_web_port
from benchctl.exports import Export, export, root_options, session_options
from benchctl.live import LiveStatus, StatusLine
from benchctl.ports import check_port, moved
from benchctl.recording import Recording
from benchctl.stopping import StopRequests
from benchctl.summary import lines, summarise_session
from benchlab import cli
from benchlab.cli import Context
from benchlab.errors import Exit
from benchlab.session import new_session

EXAMPLES = """\
  benchctl demo                        # until Ctrl-C
  benchctl demo --duration 20 --port-offset 100
  benchctl demo --sample               # the recorded sample with its known answers"""

PAIR = ("ingress", "encoded")
SINKS = ("sqlite",)
METERS = ("telemetryd", "benchlabd")
CAPTURES = ("r5c_capture", "yuan_capture")
QUERY = "SELECT * FROM pair_summary"
METERS_S = 5.0
METERS_ON_S = 0.3
STEP_S = 0.25


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl demo", "Run collectors with simulated devices, and muxd.", EXAMPLES)
    p.add_argument("--duration", type=_seconds, metavar="SECONDS", help="stop after this (default: at Ctrl-C)")
    p.add_argument("--port-offset", type=int, default=0, metavar="N", help="move all ports by N")
    p.add_argument("--no-web", action="store_true", help="leave the dashboard out")
    p.add_argument("--yuan", action="store_true", help="add the second simulated capture, a flow of its own")
    p.add_argument("--sample", action="store_true", help="work on the recorded sample session instead")
    return p


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of seconds above 0")
    return seconds


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Run until the duration is over or a stop is asked for; 0 only if all of it worked."""
    if args.data_root is None:
        args.data_root = default_data_root(os.environ)
    context = cli.context(args)
    if args.sample:
        from benchctl.sample import run_sample

        return run_sample(context.data_root, repository() / "data" / "sample", PAIR, args.config)
    return _run_live(args, context)


def default_data_root(env: Mapping[str, str]) -> str | None:
    """Return where a demo keeps its data: what the environment says, else ``.benchlab`` of the repository."""
    if env.get("BENCHLAB_DATA_ROOT") or env.get("BENCHLAB_GENERAL_DATA_ROOT"):
        return None
    return str(repository() / ".benchlab")


def repository() -> Path:
    """Return the repository this file belongs to, or the working directory where it is installed without."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def _run_live(args: argparse.Namespace, context: Context) -> int:
    bind = moved(context.config.prometheus.bind, args.port_offset)
    check_port(bind, "--port-offset N moves all ports of the demo")
    web_bind = _web_bind(args, context)
    with StopRequests() as stop:
        general = context.config.general
        digest = context.loaded.digest
        session = new_session(context.data_root, args.session, node=general.node_name, config_digest=digest)
        options = session_options(context.data_root, session.name, args.config)
        with Crew(session.state) as viewers, Crew(session.state) as crew:
            recording = Recording(session, crew, options)
            recording.start_mux([PAIR], bind, SINKS)
            dashboard = Dashboard(viewers, web_bind, root_options(context.data_root, args.config)) if web_bind else None
            _start_simulators(recording, CAPTURES if args.yuan else CAPTURES[:1], stop)
            if dashboard:
                dashboard.say_where(stop)
            _say_where(recording, bind)
            _watch(recording, args.duration, stop)
            print("stopping", file=sys.stderr)
            _stop(recording, stop)
            if dashboard:
                recording.problems += dashboard.stop()
        return _conclude(recording, options, interrupted=bool(stop))


def _web_bind(args: argparse.Namespace, context: Context) -> str | None:
    """Return where the dashboard shall be, None for nowhere. Raises Fault when the port is taken."""
    if args.no_web or not can_serve():
        return None
    bind = moved(context.config.web.bind, args.port_offset)
    check_web_port(bind)
    return bind


def _start_simulators(recording: Recording, captures: Sequence[str], stop: StopRequests) -> None:
    for name in METERS:
        recording.start_collector(name, ["--simulate"])
    recording.wait_for_streams(METERS_S, stop)  # so that the first frame has the power of the whole board
    for name in captures:
        recording.start_collector(name, ["--simulate"])


def _stop(recording: Recording, stop: StopRequests) -> None:
    recording.stop_collectors(CAPTURES)
    time.sleep(METERS_ON_S)  # so that the last frame, too, lies between two samples
    recording.finish(stop)


def _say_where(recording: Recording, bind: str) -> None:
    host, _, port = bind.rpartition(":")
    shown = "localhost" if host in ("0.0.0.0", "[::]", "") else host
    session = recording.session
    print(f"metrics    http://{shown}:{port}/metrics", file=sys.stderr)
    print(f"session    {session.dir}", file=sys.stderr)
    print(f"pairs      benchctl tail --data-root {session.dir.parent.parent}", file=sys.stderr)
    print(f'query      benchctl query --data-root {session.dir.parent.parent} "{QUERY}"', file=sys.stderr)
    print("Ctrl-C stops, exports and sums up", file=sys.stderr)


def _watch(recording: Recording, duration_s: float | None, stop: StopRequests) -> None:
    """Show the status until it is time to stop."""
    status, line = LiveStatus(recording.session, PAIR), StatusLine()
    deadline = time.monotonic() + duration_s if duration_s else float("inf")
    while time.monotonic() < deadline and not recording.has_ended():
        line.show(status.text())
        if stop.wait(min(STEP_S, max(0.0, deadline - time.monotonic()))):
            break
    line.end()


def _conclude(recording: Recording, options: Sequence[str], *, interrupted: bool) -> int:
    """Export, sum up on stdout, and tell what did not work."""
    folder = recording.session.dir
    summary = summarise_session(folder)
    made = Export()
    if any(pair.pairs for pair in summary.pairs):
        made = export(folder, options, PAIR)
    else:
        made.finding = "stopped before the first pair: there is nothing to export"
    print(f"session    {folder}")
    for text in (*lines(summary), *(f"export     {file}" for file in made.files)):
        print(text)
    failures = [*recording.problems, *([made.failure] if made.failure else [])]
    for problem in (*failures, *([made.finding] if made.finding else [])):
        print(f"benchctl demo: {problem}", file=sys.stderr)
    if failures:
        return Exit.IO
    if made.finding is None:
        return Exit.OK
    return Exit.INTERRUPTED if interrupted else Exit.FINDING
