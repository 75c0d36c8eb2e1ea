"""benchctl record: a session around a command, from the first sample to the export."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchctl.children import COLLECTORS, Crew
from benchctl.exports import export, session_options
from benchctl.ports import check_port
from benchctl.recording import Recording, mux_of_current
from benchctl.stopping import StopRequests
from benchctl.summary import Summary, lines, summarise_session
from benchlab import cli
from benchlab.cli import Context
from benchlab.errors import Exit, Fault
from benchlab.session import new_session

EXAMPLES = """\
  benchctl record --with telemetryd -- ./encode.sh clip.mkv
  benchctl record --session run-7 --with telemetryd --with "benchlabd --hz 20" -- make bench
  benchctl record --pair ingress encoded --pair encoded sent --json -- ./pipeline
the command finds the session in BENCHLAB_SESSION and BENCHLAB_DATA_ROOT; its exit code is passed on
where a muxd follows the current session, that one goes on in the new session too and is left to it"""

ANOTHER_PORT = "--prom-bind HOST:PORT chooses another"
BEGIN_S = 15.0
STEP_S = 0.2
GRACE_S = 10.0

Pair = tuple[str, str]


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    text = "Record a new session (named by --session, else by the time) around a command."
    p = cli.parser("benchctl record", text, EXAMPLES)
    names = ", ".join(COLLECTORS)
    p.add_argument(
        "--with",
        dest="collectors",
        action="append",
        default=[],
        metavar="COLLECTOR",
        help=f"start a collector too, with its options in quotes (repeatable): {names}",
    )
    p.add_argument(
        "--pair",
        dest="pairs",
        nargs=2,
        action="append",
        metavar=("A", "B"),
        help="stages to pair (repeatable; default: [pipeline] of the configuration)",
    )
    p.add_argument("--prom-bind", metavar="HOST:PORT", help="where muxd serves /metrics meanwhile")
    p.add_argument("--json", action="store_true", help="print the summary as JSON on stdout")
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Record, sum up on stderr (stdout is the command's), and pass the command's exit code on."""
    command = checked_command(operands)
    collectors = [collector(text) for text in args.collectors]
    context = cli.context(args, {"prometheus.bind": (args.prom_bind, "--prom-bind")})
    pairs = _pairs(args.pairs, context)
    bind = context.config.prometheus.bind
    served = mux_of_current(context.data_root) is not None
    if not served:
        check_port(bind, ANOTHER_PORT)
    with StopRequests() as stop:
        general = context.config.general
        digest = context.loaded.digest
        session = new_session(context.data_root, args.session, node=general.node_name, config_digest=digest)
        options = session_options(context.data_root, session.name, args.config)
        with Crew(session.state) as crew:
            recording = Recording(session, crew, options)
            if not (served and recording.leave_to_mux(stop)):
                check_port(bind, ANOTHER_PORT)
                recording.start_mux(pairs, bind)
            for name, own in collectors:
                recording.start_collector(name, own)
            code = _run_command(command, recording, context.data_root, stop)
            recording.finish(stop)
            recording.check_pairs(args.pairs or ())
        return _conclude(recording, options, pairs, code, as_json=args.json)


def checked_command(operands: Sequence[str]) -> list[str]:
    """Return the command. Raises Fault (usage) if there is none, or none of that name."""
    if not operands:
        raise Fault("no command given: benchctl record [options] -- COMMAND ...", Exit.USAGE)
    if shutil.which(operands[0]) is None:
        raise Fault(f"found no program {operands[0]}: nothing was recorded", Exit.USAGE)
    return list(operands)


def collector(text: str) -> tuple[str, list[str]]:
    """Return a collector's name and its options. Raises Fault (usage)."""
    try:
        name, *options = shlex.split(text)
    except ValueError:
        raise Fault(f"--with: found {text!r}, expected a collector and its options", Exit.USAGE) from None
    if name not in COLLECTORS:
        raise Fault(f"--with: found {name}, expected one of {', '.join(COLLECTORS)}", Exit.USAGE)
    return name, options


def _pairs(given: Sequence[Sequence[str]] | None, context: Context) -> list[Pair]:
    pipeline = context.config.pipeline
    chosen = given or [[pipeline.stage_a, pipeline.stage_b], *pipeline.pairs]
    return list(dict.fromkeys((a, b) for a, b in chosen))


def _run_command(command: Sequence[str], recording: Recording, data_root: Path, stop: StopRequests) -> int:
    """Run the command once the collectors are at work; return its exit code, as a shell would."""
    if not recording.wait_for_streams(BEGIN_S, stop):
        if not recording.has_ended() and not stop:
            recording.problems.append(f"not every collector had begun after {BEGIN_S:g} s")
        recording.problems.append(f"{command[0]} was not run")
        return Exit.INTERRUPTED if stop else Exit.OK
    recording.wait_for_cut(stop)
    session = recording.session.name
    env = {**os.environ, "BENCHLAB_SESSION": session, "BENCHLAB_DATA_ROOT": str(data_root.absolute())}
    process = subprocess.Popen(command, env=env)
    while process.poll() is None:
        if stop.wait(STEP_S):
            _pass_on(process, stop)
    code = process.returncode
    return code if code >= 0 else 128 - code


def _pass_on(process: subprocess.Popen[bytes], stop: StopRequests) -> None:
    """Give a stop signal to the command, which a terminal's Ctrl-C has reached already."""
    if not (stop.last == signal.SIGINT and _in_foreground()):
        process.send_signal(stop.last or signal.SIGTERM)
    if stop.count > 1:
        process.kill()


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _conclude(recording: Recording, options: Sequence[str], pairs: Sequence[Pair], code: int, *, as_json: bool) -> int:
    folder = recording.session.dir
    summary = summarise_session(folder)
    problems = list(recording.problems)
    files: list[Path] = []
    for pair in pairs:
        if any(found.pair == pair and found.pairs for found in summary.pairs):
            exported = export(folder, options, pair)
            files += exported.files
            problems += [exported.failure] if exported.failure else []
            if exported.finding:
                print(f"benchctl record: {exported.finding}", file=sys.stderr)
    _print(recording, summary, files, code, as_json=as_json)
    for problem in problems:
        print(f"benchctl record: {problem}", file=sys.stderr)
    return code or (Exit.IO if problems else Exit.OK)


def _print(recording: Recording, summary: Summary, files: list[Path], code: int, *, as_json: bool) -> None:
    session = recording.session
    if as_json:
        document = {"session": session.name, "folder": str(session.dir), "exit_code": code}
        exports = [str(file) for file in files]
        print(msgspec.json.encode({**document, **msgspec.to_builtins(summary), "exports": exports}).decode())
        return
    print(f"session    {session.dir}", file=sys.stderr)
    for text in (*lines(summary), *(f"export     {file}" for file in files)):
        print(text, file=sys.stderr)
