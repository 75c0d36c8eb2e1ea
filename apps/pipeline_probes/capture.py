"""What the capture programs share: one card, one flow of frames, one stream of stage times."""

from __future__ import annotations

from dataclasses import dataclass

from benchlab import cli
from benchlab.clock import SessionClock
from benchlab.errors import Exit, Fault
from benchlab.recording import Collector, collect
from pipeline_probes.frames import Frames, Shape
from pipeline_probes.options import shape_of, simulator_options
from pipeline_probes.simulated import POLL_S, SimulatedPipeline

DISORDER_MS = 20
DEVICE = "/dev/video0"

EXAMPLES = """\
  {prog} --simulate
  {prog} --session dev --simulate --stages ingress encoded inference_done
  {prog} --simulate --fps 120 --latency-median-ms 6 --latency-p99-ms 14 --drop-rate 0.05
  {prog} --simulate --once --json"""


@dataclass(frozen=True)
class Card:
    """A capture card: the program that reads it, and the flow and the stream that its frames go to."""

    prog: str
    title: str
    flow: str
    stream: str


def capture(card: Card, argv: list[str] | None) -> int:
    """Run the capture program of a card and return its exit code. Raises Fault."""
    p = cli.parser(
        card.prog,
        f"Record when each frame of the {card.title} capture card reaches each stage of its pipeline.",
        EXAMPLES.format(prog=card.prog),
    )
    cli.collector_options(p)
    p.add_argument("--device", default=DEVICE, metavar="DEV", help=f"video device (default: {DEVICE})")
    p.add_argument(
        "--flow",
        default=card.flow,
        metavar="NAME",
        help=f"name of this flow of frames (default: {card.flow})",
    )
    simulator_options(p)
    args = p.parse_args(argv)
    try:
        shape = shape_of(args, args.flow)
    except ValueError as error:
        p.error(str(error))
    ctx = cli.context(args)
    if not args.simulate:
        raise Fault(
            f"cannot read {args.device}: this version has no reader of {card.title} cards, "
            "only the simulator; add --simulate",
            Exit.USAGE,
        )
    collector = Collector(card.prog, card.stream, DISORDER_MS, once_rate_s=0.1 + 2.0 / shape.fps)
    return collect(collector, args, ctx, POLL_S, lambda clock, starts_ns: [_pipeline(shape, clock, starts_ns)])


def _pipeline(shape: Shape, clock: SessionClock, starts_ns: int) -> SimulatedPipeline:
    """Return the simulated frames, numbered from the start of the session so that no restart repeats one."""
    return SimulatedPipeline(Frames(shape, starts_ns), clock.now_ns)
