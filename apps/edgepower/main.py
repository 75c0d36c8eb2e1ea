"""edgepower: power of edge devices, for Prometheus and for the session."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import edgepower.plain_http  # noqa: F401  # goes before all else that speaks HTTP
from benchlab import cli
from benchlab.clock import SessionClock
from benchlab.daemon import Source
from benchlab.recording import Collector, collect
from benchlab.sim import SEED, LoadModel
from edgepower.collectors import Options
from edgepower.exporter import Exporter
from edgepower.live import Live
from edgepower.options import central_of, device_config_of, number

COLLECTOR = Collector("edgepower", "edgepower", disorder_ms=1000, deadline_s=5.0)

EXAMPLES = """\
  edgepower                                   as config.yaml says, or as this board is recognised
  edgepower --device-config /srv/config.yaml --port 9101 --reload-port 9102
  edgepower --no-record                       serve /metrics, write nothing but config.yaml
  edgepower --once --json                     show one sample of each device
  edgepower --simulate --session dev          a made-up Jetson"""


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    args = _parser().parse_args(argv)
    load = LoadModel(args.seed) if args.simulate else None
    ctx = cli.context(args, {"edgepower.config_path": (args.device_config, "--device-config")})
    keys, hostname = ctx.config.edgepower, ctx.config.general.node_name
    config = device_config_of(args, keys)
    exporter = Exporter(config, Live(hostname), central_of(keys, hostname))

    def sources(clock: SessionClock, starts_ns: int) -> Sequence[Source]:
        return exporter.sources(Options(args.root, clock.now_ns, config.settings.interval_s, load), args.once)

    def sample() -> int:
        period_s = config.settings.interval_s
        records, goes_on = not args.no_record, exporter.goes_on
        return collect(COLLECTOR, args, ctx, period_s, sources, records=records, stop=exporter.stop, goes_on=goes_on)

    if args.once:
        try:
            return sample()
        finally:
            exporter.release()
    return exporter.run(keys, sample)


def _parser() -> argparse.ArgumentParser:
    p = cli.parser("edgepower", "Serve the power of edge devices to Prometheus, and record it.", EXAMPLES)
    cli.collector_options(p)
    p.add_argument("--device-config", metavar="FILE", help="the device document (LOCAL_CONFIG_PATH; ./config.yaml)")
    p.add_argument("--interval", type=number(float, "interval"), metavar="S", help="seconds between two readings")
    p.add_argument("--port", type=number(int, "port"), metavar="N", help="port of /metrics (default: 9100)")
    p.add_argument("--reload-port", type=number(int, "port"), metavar="N", help="of the management API (default: 9101)")
    p.add_argument("--no-record", action="store_true", help="serve only: no session, no raw/edgepower.jsonl")
    p.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"with --simulate (default: {SEED})")
    return p


if __name__ == "__main__":
    raise SystemExit(main())
