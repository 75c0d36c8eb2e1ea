"""pipeline_probes: when each frame reaches each stage of a pipeline, into raw/pipeline.jsonl."""

from __future__ import annotations

import argparse

from benchlab import cli
from pipeline_probes.datagrams.listening import socket_options
from pipeline_probes.plan import pipeline_options, plan_of
from pipeline_probes.presets import PRESETS
from pipeline_probes.record import record

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
    runs = preset is not None or args.pipeline or args.stage or args.flow
    try:
        plan = plan_of(args, preset) if runs else None
    except ValueError as error:
        p.error(str(error))
    if args.simulate:
        p.error("--simulate: a simulated pipeline is r5c_capture --simulate")
    stream = preset.stream if preset is not None else "pipeline"
    ctx = cli.context(args, {"pipeline.stage_socket": (args.listen or None, "--listen")})
    listens = plan is None or args.listen is not None
    return record("pipeline_probes", stream, plan, args, ctx, listens=listens)


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
