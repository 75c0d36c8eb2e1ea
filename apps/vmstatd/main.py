"""Records what the virtual machines of a host use, through libvirt, into raw/vmstat.jsonl."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchlab import cli
from benchlab.clock import SessionClock
from benchlab.config_schema import VmStat
from benchlab.daemon import Source
from benchlab.recording import Collector, collect
from benchlab.sim import SEED
from vmstatd.host import is_remote, open_connection
from vmstatd.policy import Policy
from vmstatd.poller import Poller
from vmstatd.simulated import SimulatedHost, open_simulated
from vmstatd.source import DISORDER_MS, NotOfARecordedMachine, Statistics, StatisticsSource, VmSource

VMS = 6

EXAMPLES = """\
  vmstatd                                             the machines of qemu:///system, every 5 s
  vmstatd --libvirt-uri qemu+ssh://root@host/system   those of another host
  vmstatd --poll-interval 1 --session dev
  vmstatd --once                                      show one reading of each, or why there is none
  vmstatd --once --json --libvirt-uri test:///default
  vmstatd --simulate --vms 50"""


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    args = _parser().parse_args(argv)
    ctx = cli.context(
        args,
        {
            "vmstatd.poll_interval": (args.poll_interval, "--poll-interval"),
            "vmstatd.libvirt_uri": (args.libvirt_uri, "--libvirt-uri"),
        },
    )
    settings = ctx.config.vmstatd

    def sources(clock: SessionClock, starts_ns: int) -> Sequence[Source]:
        return _sources(args, settings, clock)

    # the poller keeps its own deadlines; the loop's is for defects only
    collector = Collector("vmstatd", "vmstat", DISORDER_MS, once_rate_s=1.0, deadline_s=4 * settings.libvirt_timeout)
    return collect(collector, args, ctx, settings.poll_interval, sources)


def _sources(args: argparse.Namespace, settings: VmStat, clock: SessionClock) -> Sequence[Source]:
    if args.root != Path("/") and not args.simulate:
        return [NotOfARecordedMachine()]
    period_s = settings.poll_interval
    policy = Policy(settings.fields, settings.every, period_s)
    host = SimulatedHost(args.vms, clock.now_ns, time.time, args.seed) if args.simulate else None
    poller = Poller(
        "sim:///" if host else settings.libvirt_uri,
        open_simulated(host) if host else open_connection,
        policy.groups,
        clock.now_ns,
        period_s,
        settings.libvirt_timeout,
    )
    statistics = Statistics(clock.now_ns())
    machines = VmSource(
        poller,
        policy,
        statistics,
        clock.now_ns,
        period_s,
        remote=not host and is_remote(settings.libvirt_uri),
        is_simulated=host is not None,
    )
    # of itself there is always something to say, and that would hide from --once that nothing is there
    return [machines] if args.once else [machines, StatisticsSource(statistics, host is not None)]


def _parser() -> argparse.ArgumentParser:
    p = cli.parser("vmstatd", "Record what the virtual machines of a host use, through libvirt.", EXAMPLES)
    cli.collector_options(p)
    p.add_argument("--poll-interval", type=float, metavar="S", help="seconds between two polls (default: 5)")
    p.add_argument("--libvirt-uri", metavar="URI", help="which hypervisor (default: qemu:///system)")
    group = p.add_argument_group("simulator", "with --simulate; the same seed gives the same machines")
    group.add_argument("--vms", type=_count, default=VMS, metavar="N", help=f"how many machines (default: {VMS})")
    group.add_argument("--seed", type=int, default=SEED, metavar="N", help="seed of all chance (default: 1)")
    return p


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number from 0 to 100000")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
