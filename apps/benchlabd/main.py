"""Records power, temperatures and fans from BENCHLAB, PMD-USB and PMD2 into raw/benchlab.jsonl."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace

from benchlab import cli
from benchlab.boards.model import PowerRange
from benchlab.cli import Context
from benchlab.clock import SessionClock
from benchlab.daemon import Source
from benchlab.errors import Exit, Fault
from benchlab.recording import Collector, collect
from benchlab.sim import LOAD_STEP_S, POWER_LAG_MS, SEED, SYSTEM_FULL_W, SYSTEM_IDLE_W, LoadModel
from benchlabd.port import DEADLINE_NS, MS
from benchlabd.scout import meters
from benchlabd.simulated import SimulatedBoard

COLLECTOR = Collector("benchlabd", "benchlab", disorder_ms=20)
SLOWEST_MS = DEADLINE_NS // (2 * MS)
"""How far back the middle of an exchange may lie when its reply has come; another device's line may be newer."""
SAFE_HZ = 40.0

EXAMPLES = """\
  benchlabd                                     the BENCHLAB on /dev/ttyACM0, else on another port
  benchlabd --device auto                       every meter that is plugged in, now or later
  benchlabd --device /dev/ttyACM1 --hz 40
  benchlabd --once                              show one reading, or why there is none
  benchlabd --simulate
  benchlabd --session dev --simulate --hz 20
  benchlabd --simulate --idle-w 60 --full-w 320 --load-step-s 5
  benchlabd --simulate --once --json"""

log = logging.getLogger("benchlabd")


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    p = _parser()
    args = p.parse_args(argv)
    try:
        model = LoadModel(args.seed, args.load_step_s, args.power_lag_ms)
        power = PowerRange(args.idle_w, args.full_w)
    except ValueError as error:
        p.error(f"--load-step-s, --power-lag-ms, --idle-w, --full-w: {error}")
    ctx = cli.context(
        args,
        {
            "general.sample_hz": (args.hz, "--hz"),
            "benchlab.device": (",".join(args.device) if args.device else None, "--device"),
            "benchlab.baud": (args.baud, "--baud"),
        },
    )
    hz = _allowed_hz(args, ctx)

    def sources(clock: SessionClock, starts_ns: int) -> Sequence[Source]:
        if args.simulate:
            return [SimulatedBoard(clock.now_ns, model, power, args.seed)]
        return meters(ctx.config.benchlab, clock.now_ns, is_chosen=args.device is not None, root=args.root)

    return collect(COLLECTOR if args.simulate else _real(ctx), args, ctx, 1.0 / hz, sources)


def _parser() -> argparse.ArgumentParser:
    p = cli.parser("benchlabd", "Record power, temperatures and fans from BENCHLAB, PMD-USB and PMD2.", EXAMPLES)
    cli.collector_options(p)
    p.add_argument("--hz", type=float, metavar="HZ", help="readings a second, up to 40 (default: 10)")
    p.add_argument("--allow-fast-polling", action="store_true", help="let --hz exceed the 40 that the device stands")
    p.add_argument(
        "--device",
        action="append",
        metavar="DEV",
        help="serial port (repeatable), or auto: every meter that answers (default: /dev/ttyACM0, then the others)",
    )
    p.add_argument("--baud", type=int, metavar="N", help="serial speed (default: 115200)")
    _simulator_options(p)
    return p


def _simulator_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("simulator", "with --simulate; the same seed gives the same load everywhere")

    def number(flag: str, default: float, unit: str, text: str) -> None:
        group.add_argument(flag, type=float, default=default, metavar=unit, help=f"{text} (default: {default:g})")

    group.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"seed of all chance (default: {SEED})")
    number("--load-step-s", LOAD_STEP_S, "S", "the load changes this often")
    number("--power-lag-ms", POWER_LAG_MS, "MS", "power follows the load this far behind")
    number("--idle-w", SYSTEM_IDLE_W, "W", "power of the whole computer without load")
    number("--full-w", SYSTEM_FULL_W, "W", "power of the whole computer under full load")


def _real(ctx: Context) -> Collector:
    """Return the collector of real devices: their lines come in the order of replies, not of readings."""
    behind_ms = COLLECTOR.disorder_ms + SLOWEST_MS + ctx.config.benchlab.offset_ns // MS
    return replace(COLLECTOR, disorder_ms=behind_ms)


def _allowed_hz(args: argparse.Namespace, ctx: Context) -> float:
    """Return the rate; what the configuration says for all collectors is capped at what the device stands."""
    hz = ctx.config.general.sample_hz
    if hz <= SAFE_HZ or args.allow_fast_polling:
        return hz
    if args.hz is not None:
        raise Fault(f"--hz: found {hz:g}, expected at most {SAFE_HZ:g}; --allow-fast-polling lifts this", Exit.USAGE)
    log.warning("general.sample_hz is %g: a BENCHLAB is read %g times a second", hz, SAFE_HZ)
    return SAFE_HZ


if __name__ == "__main__":
    raise SystemExit(main())
