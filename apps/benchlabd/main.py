"""Records power, temperatures and fans from a BENCHLAB into raw/benchlab.jsonl."""

from __future__ import annotations

import argparse
import logging

from benchlab import cli
from benchlab.boards.model import PowerRange
from benchlab.cli import Context
from benchlab.clock import SessionClock
from benchlab.errors import Exit, Fault
from benchlab.recording import Collector, collect
from benchlab.sim import LOAD_STEP_S, POWER_LAG_MS, SEED, SYSTEM_FULL_W, SYSTEM_IDLE_W, LoadModel
from benchlabd.simulated import SimulatedBoard

COLLECTOR = Collector("benchlabd", "benchlab", disorder_ms=20)
SAFE_HZ = 40.0

EXAMPLES = """\
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
        p.error(str(error))
    ctx = cli.context(
        args,
        {
            "general.sample_hz": (args.hz, "--hz"),
            "benchlab.device": (args.device, "--device"),
            "benchlab.baud": (args.baud, "--baud"),
        },
    )
    hz = _allowed_hz(args, ctx)
    if not args.simulate:
        raise Fault(
            f"cannot read {ctx.config.benchlab.device}: this version has no reader of BENCHLAB devices, "
            "only the simulator; add --simulate",
            Exit.USAGE,
        )

    def sources(clock: SessionClock, starts_ns: int) -> list[SimulatedBoard]:
        return [SimulatedBoard(clock.now_ns, model, power, args.seed)]

    return collect(COLLECTOR, args, ctx, 1.0 / hz, sources)


def _parser() -> argparse.ArgumentParser:
    p = cli.parser("benchlabd", "Record power, temperatures and fans from a BENCHLAB.", EXAMPLES)
    cli.collector_options(p)
    p.add_argument("--hz", type=float, metavar="HZ", help="readings a second, up to 40 (default: 10)")
    p.add_argument("--allow-fast-polling", action="store_true", help="let --hz exceed the 40 that the device stands")
    p.add_argument("--device", metavar="DEV", help="serial device (default: /dev/ttyACM0)")
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
