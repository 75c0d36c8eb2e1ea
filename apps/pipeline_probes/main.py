"""pipeline_probes: when each frame reaches each stage of a pipeline, into raw/pipeline.jsonl."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack

from benchlab import cli
from benchlab.clock import SessionClock
from benchlab.daemon import Source
from benchlab.recording import Collector, collect
from pipeline_probes import listening
from pipeline_probes.listening import Listening, socket_options
from pipeline_probes.pipeline_source import POLL_S
from pipeline_probes.plan import pipeline_options, plan_of
from pipeline_probes.presets import PRESETS
from pipeline_probes.running import Running

EXAMPLES = """\
  pipeline_probes                                 take the stages that programs send: benchlab.stage(...)
  pipeline_probes --pipeline "videotestsrc is-live=true ! tee name=ingress ! x264enc name=enc ! fakesink" \\
                  --stage ingress=ingress.src --stage encoded=enc.src
  pipeline_probes --device /dev/video0            capture and encode; stages ingress and encoded
  pipeline_probes --preset yuan --once --json     show one frame at each stage, record nothing
  pipeline_probes --device /dev/video0 --pipeline "v4l2src device={device} ! ... ! fakesink name=end" \\
                  --stage ingress=convert.sink --stage inference_done=end.sink"""


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    p = _parser()
    args = p.parse_args(argv)
    preset = PRESETS[args.preset or "v4l2"] if args.preset or args.device else None
    try:
        plan = plan_of(args, preset)
    except ValueError as error:
        p.error(str(error))
    if args.simulate:
        p.error("--simulate: a simulated pipeline is r5c_capture --simulate")
    if plan is None and (args.stage or args.flow):
        p.error("--stage, --flow: found no --pipeline, --device or --preset, expected one of them")
    ctx = cli.context(args, {"pipeline.stage_socket": (args.listen or None, "--listen")})
    with ExitStack() as stack:
        running = stack.enter_context(Running(plan, args.once, args.root)) if plan is not None else None
        listens = plan is None or args.listen is not None
        listener = stack.enter_context(Listening(ctx, args.once)) if listens else None

        def sources(clock: SessionClock, starts_ns: int) -> Sequence[Source]:
            found = [running.source(clock)] if running is not None else []
            return [*found, listener.source(clock, starts_ns)] if listener is not None else found

        disorder_ms = max(running.disorder_ms if running else 0, listening.DISORDER_MS if listener else 0)
        stream = preset.stream if preset is not None else "pipeline"
        once_s = listening.ONCE_S if listener else 0.0
        collector = Collector("pipeline_probes", stream, disorder_ms, once_rate_s=once_s)
        return collect(collector, args, ctx, POLL_S, sources)


def _parser() -> argparse.ArgumentParser:
    text = "Record when each frame reaches each stage: of a program that says so, or of a GStreamer pipeline."
    p = cli.parser("pipeline_probes", text, EXAMPLES)
    cli.collector_options(p)
    socket_options(p)
    pipeline_options(p)
    about = "; ".join(f"{name}: {preset.title}" for name, preset in PRESETS.items() if preset.device)
    p.add_argument("--preset", choices=[name for name in PRESETS if PRESETS[name].device], help=about)
    return p


if __name__ == "__main__":
    raise SystemExit(main())
