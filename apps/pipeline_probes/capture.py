"""What the capture programs share: one card, one flow of frames, one stream of stage times."""

from __future__ import annotations

import argparse

from benchlab import cli
from benchlab.clock import SessionClock
from benchlab.recording import Collector, collect
from pipeline_probes.gst.running import DISORDER_MS
from pipeline_probes.plan import pipeline_options, plan_of
from pipeline_probes.presets import PRESETS, Preset
from pipeline_probes.record import record
from pipeline_probes.sim.frames import Frames, Shape
from pipeline_probes.sim.options import shape_of, simulator_options
from pipeline_probes.sim.simulated import POLL_S, SimulatedPipeline

EXAMPLES = """\
  {prog}                              take the card at {device}, wait for it if it is not there
  {prog} --device /dev/video2 --once --json
  {prog} --pipeline "v4l2src device={{device}} ! ... " --stage ingress=a.sink --stage inference_done=b.sink
  {prog} --simulate
  {prog} --session dev --simulate --stages ingress encoded inference_done
  {prog} --simulate --fps 120 --latency-median-ms 6 --latency-p99-ms 14 --drop-rate 0.05
  {prog} --simulate --once --json"""


def capture(name: str, argv: list[str] | None) -> int:
    """Run the capture program of a preset and return its exit code. Raises Fault."""
    preset = PRESETS[name]
    prog = f"{name}_capture"
    p = cli.parser(
        prog,
        f"Record when each frame of the {preset.title} capture card reaches each stage of its pipeline.",
        EXAMPLES.format(prog=prog, device=preset.device),
    )
    cli.collector_options(p)
    pipeline_options(p, preset.flow, preset.device)
    simulator_options(p)
    args = p.parse_args(argv)
    try:
        shape = shape_of(args, args.flow or preset.flow)
        plan = plan_of(args, preset)
    except ValueError as error:
        p.error(str(error))
    if args.simulate:
        return _simulate(prog, preset, shape, args)
    return record(prog, preset.stream, plan, args, cli.context(args))


def _simulate(prog: str, preset: Preset, shape: Shape, args: argparse.Namespace) -> int:
    collector = Collector(prog, preset.stream, DISORDER_MS, once_rate_s=0.1 + 2.0 / shape.fps)
    ctx = cli.context(args)
    return collect(collector, args, ctx, POLL_S, lambda clock, starts_ns: [_pipeline(shape, clock, starts_ns)])


def _pipeline(shape: Shape, clock: SessionClock, starts_ns: int) -> SimulatedPipeline:
    """Return the simulated frames, numbered from the start of the session so that no restart repeats one."""
    return SimulatedPipeline(Frames(shape, starts_ns), clock.now_ns)
