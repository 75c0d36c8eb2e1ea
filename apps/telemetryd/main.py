"""telemetryd: samples the host's processor, memory, network, disks and graphics card."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchlab import cli
from benchlab.clock import SessionClock
from benchlab.daemon import Source
from benchlab.recording import Collector, collect
from benchlab.sim import LOAD_STEP_S, POWER_LAG_MS, SEED, LoadModel
from telemetryd.sources import Options, discover

COLLECTOR = Collector("telemetryd", "telemetry", disorder_ms=50)

EXAMPLES = """\
  telemetryd                            sample this host at 10 Hz into the current session
  telemetryd --simulate --session dev   the same, with a made-up graphics card beside the host
  telemetryd --once                     show one sample of each source, record nothing
  telemetryd --once --json --source cpu.psutil --root /srv/recorded-machine"""


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    p = _parser()
    args = p.parse_args(argv)
    try:
        load = LoadModel(args.seed, args.load_step_s, args.power_lag_ms)
    except ValueError as error:
        p.error(f"--load-step-s, --power-lag-ms: {error}")
    ctx = cli.context(
        args,
        {
            "general.sample_hz": (args.hz, "--hz"),
            "gpu.device_index": (args.device_index, "--device-index"),
        },
    )
    period_s = 1.0 / ctx.config.general.sample_hz
    chosen = ctx.config.gpu.device_index
    index = None if chosen == "all" else chosen
    rapl = ctx.config.cpu.enable_rapl

    def sources(clock: SessionClock, starts_ns: int) -> Sequence[Source]:
        simulated = load if args.simulate else None
        return discover(Options(clock.now_ns, period_s, args.root, index, simulated, args.seed, enable_rapl=rapl))

    return collect(COLLECTOR, args, ctx, period_s, sources)


def _parser() -> argparse.ArgumentParser:
    text = "Record the host's processor, memory, network and disks, and its graphics card."
    p = cli.parser("telemetryd", text, EXAMPLES)
    cli.collector_options(p)
    p.add_argument("--hz", type=float, metavar="HZ", help="samples a second (default: 10)")
    p.add_argument("--device-index", type=_index, metavar="N", help="take only this GPU (default: all)")
    group = p.add_argument_group("simulator", "with --simulate; the same seed gives the same load everywhere")
    group.add_argument("--seed", type=int, default=SEED, metavar="N", help="seed of all chance (default: 1)")
    group.add_argument(
        "--load-step-s",
        type=float,
        default=LOAD_STEP_S,
        metavar="S",
        help=f"the load changes this often (default: {LOAD_STEP_S:g})",
    )
    group.add_argument(
        "--power-lag-ms",
        type=float,
        default=POWER_LAG_MS,
        metavar="MS",
        help=f"power follows the load this far behind (default: {POWER_LAG_MS:g})",
    )
    return p


def _index(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text


if __name__ == "__main__":
    raise SystemExit(main())
