"""From the command line to what runs: the sources that are recorded, and the API beside them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from time import time_ns

from benchlab import cli
from benchlab.clock import SessionClock
from benchlab.config_schema import PiMon
from benchlab.daemon import Source
from benchlab.errors import Exit, Fault
from benchlab.recording import Collector, collect
from benchlab.sim import SEED, LoadModel
from pimon.api.dotenv import environment
from pimon.api.options import add_options, overrides
from pimon.api.server import Server, serve
from pimon.battery import EXPECTED, meter_of
from pimon.sampler import Options, sampler_of
from pimon.sources import SYSTEM, sources_of
from pimon.supplies import NONE

COLLECTOR = Collector("pimon", "pimon", disorder_ms=50, deadline_s=5.0)

EXAMPLES = """\
  pimon                                     record this host every 5 s, serve the API on :8585
  pimon --power-supply BAT0 --top-procs 20
  pimon --power-supply ina219@1:0x42        a UPS HAT whose chip no driver has
  pimon --no-record                         serve the API, write nothing
  pimon --once --json                       show one tick, record nothing
  pimon --simulate --session dev            a made-up Pi on a battery, under workloads
  pimon --db telemetry.db --interval 5      the stand-alone logger: no session, only an SQLite file"""


def agent(argv: list[str] | None = None) -> int:
    """Run pimon as its command line says. Raises Fault."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.no_record and args.no_api:
        parser.error("found --no-record and --no-api together, expected one of them: there would be nothing to do")
    own = {
        "pimon.interval_s": (args.interval, "--interval"),
        "pimon.top_procs": (args.top_procs, "--top-procs"),
        "pimon.power_supply": (args.power_supply, "--power-supply"),
    }
    ctx = cli.context(args, {**overrides(args), **own}, environment(os.environ))
    config = ctx.config.pimon
    _check_power_supply(config, "--power-supply" if args.power_supply is not None else "")
    options = partial(_options, args, config, LoadModel(args.seed) if args.simulate else None)
    server = None if args.once or args.no_api else _served(options, config)

    def sources(clock: SessionClock, starts_ns: int) -> Sequence[Source]:
        sampler = sampler_of(options(clock.now_ns, starts_ns))
        has_battery = config.power_supply != NONE
        if server is None:
            return sources_of(sampler, clock.now_ns, config.interval_s, has_battery)
        found = sources_of(sampler, clock.now_ns, config.interval_s, has_battery, server.offer)
        # the API shows no battery, and takes the processes only when it is asked for them
        return [source for source in found if source.name == SYSTEM] if args.no_record else found

    try:
        return collect(COLLECTOR, args, ctx, config.interval_s, sources, records=not args.no_record)
    finally:
        if server is not None:
            server.close()


def _served(options: Callable[[Callable[[], int], int], Options], config: PiMon) -> Server:
    """Start the API, which has counters of its own."""
    own = options(time_ns, time_ns())
    return serve(sampler_of(own), config, own.root)


def _check_power_supply(config: PiMon, flag: str) -> None:
    try:
        meter_of(config.power_supply, config.shunt_ohms, config.current_reversed)
    except ValueError as error:
        raise Fault(f"{flag or '[pimon].power_supply'}: {error}", Exit.USAGE if flag else Exit.CONFIG) from None


def _options(
    args: argparse.Namespace, config: PiMon, load: LoadModel | None, now_ns: Callable[[], int], starts_ns: int
) -> Options:
    return Options(
        root=args.root,
        now_ns=now_ns,
        power_supply=config.power_supply,
        shunt_ohms=config.shunt_ohms,
        is_reversed=config.current_reversed,
        top_procs=config.top_procs,
        with_command_lines=args.command_lines,
        load=load,
        starts_ns=starts_ns,
    )


def _parser() -> argparse.ArgumentParser:
    text = "Record a small host: its state, its battery and its busiest processes; serve them over HTTP."
    p = cli.parser("pimon", text, EXAMPLES)
    cli.collector_options(p)
    p.add_argument("--interval", type=float, metavar="S", help="seconds between two samples (default: 5)")
    p.add_argument("--top-procs", type=int, metavar="N", help="so many processes (default: 10)")
    p.add_argument("--power-supply", metavar="NAME", help=f"the battery: {EXPECTED} (default: auto)")
    p.add_argument("--command-lines", action="store_true", help="record them too; they may hold secrets")
    p.add_argument("--no-record", action="store_true", help="serve only: no session, no raw/pimon.jsonl")
    p.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"with --simulate (default: {SEED})")
    add_options(p)
    return p
