"""benchctl emulate: a power meter without hardware, on a pty that the real serial path reads."""

from __future__ import annotations

import argparse
import logging
import math
import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchctl.emulator.device import Make
from benchctl.emulator.emulator import PUSH_S, Emulator
from benchctl.emulator.faults import LineFault, described, parse_fault, parse_scheduled
from benchctl.emulator.products import NAME, PRODUCTS
from benchctl.emulator.sources import Given, Recorded, Source, read_values
from benchctl.stopping import StopRequests
from benchlab import cli
from benchlab.boards.model import ROUND_TRIP_MS
from benchlab.errors import Exit, Fault
from benchlab.sim import SEED, Z_99, LogNormal

EXAMPLES = f"""\
  benchctl emulate benchlab --link /tmp/ttyBENCHLAB0
  benchctl emulate benchlab --product bl2 --firmware 6 --fault short@5 --fault unplug:3@10
  benchctl emulate benchlab --values board.json --latency-ms 0
  benchctl emulate benchlab --product original --replay raw/benchlab.jsonl --speed 10 --loop

stdout is the path of the device, one line each time that it changes; exit code 1: something was sent to it that a
monitoring program must never send. Faults, on the command line as NAME[:AMOUNT]@SECONDS and while it runs as
lines NAME [AMOUNT] on stdin, where "replug" ends an unplugging:
{described()}"""

STEP_S = 0.2
MEDIAN_MS = math.exp(ROUND_TRIP_MS.mu)

log = logging.getLogger("benchctl.emulate")


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = cli.parser("benchctl emulate", "Be a power meter on a pseudo-terminal.", EXAMPLES)
    p.add_argument("device", choices=("benchlab",), help="the family of devices")
    p.add_argument("--product", choices=PRODUCTS, default=PRODUCTS[0], help=f"which one (default: {PRODUCTS[0]})")
    p.add_argument("--firmware", type=int, metavar="N", help="its firmware (default: the newest that is known)")
    p.add_argument("--uid", metavar="HEX", help="its unique id; that by default marks what is read as simulated")
    p.add_argument("--name", default=NAME, metavar="TEXT", help=f"its friendly name (default: {NAME})")
    p.add_argument("--link", type=Path, metavar="PATH", help="keep a link to the device here; it goes with the device")
    p.add_argument("--duration", type=_above_0, metavar="S", help="stop after this (default: when asked to)")
    p.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"seed of all chance (default: {SEED})")
    _value_options(p)
    _line_options(p)
    return p


def _value_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("values", "by default those of benchlabd --simulate with the same seed")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--values", type=Path, metavar="FILE", help="JSON object of values by key; others are not there")
    what.add_argument(
        "--replay", type=Path, metavar="FILE", help="a recorded raw/benchlab.jsonl, from first reading on"
    )
    group.add_argument("--speed", type=_above_0, metavar="X", help="replay so much faster (default: 1)")
    group.add_argument("--loop", action="store_true", help="begin the recording again when it is over")


def _line_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("line")
    group.add_argument(
        "--latency-ms",
        type=_from_0,
        default=MEDIAN_MS,
        metavar="MS",
        help=f"median time to an answer, 0 for none (default: {MEDIAN_MS:g})",
    )
    group.add_argument("--p99-ms", type=_above_0, metavar="MS", help="its 99th percentile (default: 2.7 medians)")
    group.add_argument(
        "--push-ms",
        type=_from_0,
        default=PUSH_S * 1000,
        metavar="MS",
        help=f"firmware that greets unasked does so this long after the opening (default: {PUSH_S * 1000:g})",
    )
    group.add_argument("--no-push", action="store_true", help="never greet unasked")
    group.add_argument(
        "--fault",
        action="append",
        default=[],
        type=_scheduled,
        metavar="NAME[:AMOUNT]@S",
        help="see below (repeatable)",
    )


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Emulate until a stop is asked for, the duration or the recording is over."""
    cli.setup_logging(args.log_level, args.log_format)
    if args.replay is None and (args.speed is not None or args.loop):
        raise Fault("--speed and --loop are for a recording: expected --replay FILE with them", Exit.USAGE)
    try:
        emulator = Emulator(
            args.product,
            args.firmware,
            uid=args.uid,
            name=args.name,
            values=_values(args),
            link=args.link,
            latency=_latency(args.latency_ms, args.p99_ms),
            push_s=None if args.no_push else args.push_ms / 1000,
            seed=args.seed,
            faults=args.fault,
            say=log.warning,
        )
    except ValueError as error:
        raise Fault(str(error), Exit.USAGE) from None
    with StopRequests() as stop, emulator:
        log.info("%s; to read it: benchlabd --device %s", emulator.make.title, emulator.path)
        _attend(emulator, stop, math.inf if args.duration is None else args.duration)
    return Exit.FINDING if emulator.violations else Exit.OK


def _values(args: argparse.Namespace) -> Callable[[Make], Source] | None:
    """Return what makes the source that the options ask for, None for the one that the emulator has by itself."""
    path: Path | None = args.values or args.replay
    if path is None:
        return None

    def source(make: Make) -> Source:
        try:
            if args.values:
                return Given(make, read_values(path))
            return Recorded(make, path, log.warning, args.speed or 1.0, loop=args.loop)
        except ValueError as error:
            raise Fault(f"{path}: {error}", Exit.IO) from None

    return source


def _latency(median_ms: float, p99_ms: float | None) -> LogNormal | None:
    """Return how long answers take. Raises ValueError for a percentile below the median."""
    if median_ms == 0:
        return None
    usual = math.exp(Z_99 * ROUND_TRIP_MS.sigma)
    return LogNormal(median_ms, median_ms * usual if p99_ms is None else p99_ms)


def _attend(emulator: Emulator, stop: StopRequests, duration_s: float) -> None:
    """Tell where the device is, and do what stdin says, until it is time to end."""
    console, shown = Console(emulator), ""
    ends_s = time.monotonic() + duration_s
    while not stop and not console.ended and not emulator.is_over and time.monotonic() < ends_s:
        if emulator.path != shown:
            shown = emulator.path
            print(shown, flush=True)
        wait_s = max(0.0, min(STEP_S, ends_s - time.monotonic()))
        if console.fd is None:
            stop.wait(wait_s)
        else:
            console.wait(wait_s)


class Console:
    """Faults asked for by lines on stdin. The end of stdin is the end only where that is a terminal."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._rest = b""
        self.ended = False
        self.fd: int | None = None if sys.stdin is None else sys.stdin.fileno()

    def wait(self, seconds: float) -> None:
        """Do what comes within so many seconds."""
        assert self.fd is not None
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return
        data = os.read(self.fd, 4096)
        if not data:
            self.ended = os.isatty(self.fd)
            self.fd = None
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(line.decode("utf-8", "replace").strip())

    def _obey(self, line: str) -> None:
        if line == "replug":
            self._emulator.replug()
        elif line:
            try:
                kind, amount = parse_fault(line)
                self._emulator.fault(kind, amount)
            except ValueError as error:
                log.error("%s", error)
                return
            log.info("%s", line)


def _scheduled(text: str) -> tuple[float, LineFault]:
    try:
        return parse_scheduled(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _from_0(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of at least 0")
    return number


def _above_0(text: str) -> float:
    number = _from_0(text)
    if number == 0:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0")
    return number
