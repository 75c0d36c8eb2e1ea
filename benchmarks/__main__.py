"""``python -m benchmarks [WHAT ...]``: all of them by default, ``--help`` names them."""

from __future__ import annotations

import argparse
import json

from benchmarks.board import board
from benchmarks.collectors import collectors
from benchmarks.history import DAY, history
from benchmarks.influx import influx
from benchmarks.live import live
from benchmarks.measure import machine
from benchmarks.pistat import pistat
from benchmarks.probe import probe
from benchmarks.replay import replay
from benchmarks.same import DifferentError
from benchmarks.stages import stages
from benchmarks.table import Section
from benchmarks.viewers import viewers
from benchmarks.vms import vms
from benchmarks.whole import whole

FRAMES = 1_000_000


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = "replay, whole, live, collectors, board, probe, stages, pistat, influx, viewers, history, vms (default: all)"
    p.add_argument("what", nargs="*", help=what)
    p.add_argument("--json", action="store_true", help="print the figures as JSON instead of tables")
    p.add_argument(
        "--frames",
        type=int,
        help="replay, whole, influx, history: frames of the recording (default: 1000000, history a day)",
    )
    p.add_argument(
        "--rounds", type=int, default=3, help="replay, whole, influx: runs of each program, in turn (default: 3)"
    )
    p.add_argument(
        "--seconds", type=float, default=30, help="all others: how long each is watched, at most (default: 30)"
    )
    return p


def main(argv: list[str] | None = None) -> int:
    p = parser()
    args = p.parse_args(argv)
    benchmarks = {
        "replay": lambda: [replay(args.frames or FRAMES, args.rounds)],
        "whole": lambda: [whole(args.frames or FRAMES, args.rounds)],
        "live": lambda: live(args.seconds),
        "collectors": lambda: collectors(args.seconds),
        "board": lambda: board(args.seconds),
        "stages": lambda: stages(args.seconds),
        "probe": lambda: probe(args.seconds),
        "pistat": lambda: pistat(args.seconds),
        "influx": lambda: [influx(args.frames or FRAMES, args.rounds)],
        "viewers": lambda: viewers(args.seconds),
        "history": lambda: history(args.frames or DAY),
        "vms": lambda: vms(args.seconds),
    }
    unknown = [what for what in args.what if what not in benchmarks]
    if unknown:
        p.error(f"found {unknown[0]}, expected one of {', '.join(benchmarks)}")
    host = machine()
    found: list[Section] = []
    try:
        for what in args.what or benchmarks:
            sections = benchmarks[what]()
            found += sections
            if not args.json:
                print("\n".join(section.text() for section in sections), flush=True)
    except DifferentError as different:
        raise SystemExit(f"the programs do not agree: {different}") from different
    if args.json:
        print(json.dumps({"host": host, **{section.title: section.facts for section in found}}, indent=2))
    else:
        print("Measured on: " + ", ".join(f"{key} {value}" for key, value in host.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
