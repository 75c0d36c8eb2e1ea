"""The flags of the simulated pipeline, and the frames they describe."""

from __future__ import annotations

import argparse

from benchlab.sim import SEED, LogNormal
from pipeline_probes.sim.frames import Shape

STAGES = ("ingress", "encoded")
FPS = 60.0
MEDIAN_MS = 10.5
P99_MS = 25.0
DROP_RATE = 0.01
JITTER_MS = 0.3


def simulator_options(p: argparse.ArgumentParser) -> None:
    """Add the flags that shape the simulated frames."""
    group = p.add_argument_group("simulator", "with --simulate; the same seed gives the same frames")
    group.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"seed of all chance (default: {SEED})")
    group.add_argument("--fps", type=float, default=FPS, metavar="F", help=f"frames a second (default: {FPS:g})")
    group.add_argument(
        "--stages",
        nargs="+",
        default=list(STAGES),
        metavar="STAGE",
        help=f"stages that a frame passes, in order (default: {' '.join(STAGES)})",
    )
    group.add_argument(
        "--latency-median-ms",
        nargs="+",
        type=float,
        default=[MEDIAN_MS],
        metavar="MS",
        help=f"median latency from stage to stage: one for all, or one for each (default: {MEDIAN_MS:g})",
    )
    group.add_argument(
        "--latency-p99-ms",
        nargs="+",
        type=float,
        default=[P99_MS],
        metavar="MS",
        help=f"99th percentile of it, log-normal; equal to the median means constant (default: {P99_MS:g})",
    )
    group.add_argument(
        "--drop-rate",
        type=float,
        default=DROP_RATE,
        metavar="P",
        help=f"share of frames lost between two stages, 0 to 1 (default: {DROP_RATE:g})",
    )
    group.add_argument(
        "--jitter-ms",
        type=float,
        default=JITTER_MS,
        metavar="MS",
        help=f"frames enter up to this much early or late (default: {JITTER_MS:g})",
    )


def shape_of(args: argparse.Namespace, flow: str) -> Shape:
    """Return the flow that the flags describe; raises ValueError where they cannot be meant."""
    hops = len(args.stages) - 1
    medians = _for_each("--latency-median-ms", args.latency_median_ms, hops)
    p99s = _for_each("--latency-p99-ms", args.latency_p99_ms, hops)
    return Shape(
        flow=flow,
        stages=tuple(args.stages),
        hops=tuple(LogNormal(median, p99) for median, p99 in zip(medians, p99s, strict=True)),
        fps=args.fps,
        drop_rate=args.drop_rate,
        jitter_ms=args.jitter_ms,
        seed=args.seed,
    )


def _for_each(flag: str, given: list[float], hops: int) -> list[float]:
    if len(given) == 1:
        return given * hops
    if len(given) != hops:
        raise ValueError(f"{flag}: expected one value, or {hops} for {hops + 1} stages, found {len(given)}")
    return given
