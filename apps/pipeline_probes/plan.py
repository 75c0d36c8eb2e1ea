"""Which pipeline the command line asks for, and the flags that say so."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pipeline_probes.presets import DEVICE, Preset
from pipeline_probes.stage_spec import StageSpec, merged, stage_spec

FLOW = "gst"


@dataclass(frozen=True)
class Plan:
    """A pipeline to run: its text, its stages, the flow its frames belong to, and its device if it has one."""

    text: str
    stages: tuple[StageSpec, ...]
    flow: str
    device: Path | None = None


def pipeline_options(p: argparse.ArgumentParser, flow: str = FLOW, device: str | None = None) -> None:
    """Add the flags that describe a pipeline and its stages, with the defaults they have."""
    by_default = f" (default: {device})" if device is not None else ", as /dev/video0"
    group = p.add_argument_group("pipeline")
    group.add_argument(
        "--pipeline", metavar="TEXT", help=f"what gst-launch-1.0 would run; {DEVICE} stands for --device"
    )
    group.add_argument(
        "--stage",
        action="append",
        type=stage_spec,
        default=[],
        metavar="NAME=ELEMENT.PAD",
        help="a stage, reached when a buffer passes this pad (repeatable; the first one also tells capture times)",
    )
    group.add_argument("--device", metavar="DEV", help=f"V4L2 device{by_default}")
    group.add_argument("--flow", metavar="NAME", help=f"name of this flow of frames (default: {flow})")


def plan_of(args: argparse.Namespace, preset: Preset | None) -> Plan:
    """Return what to run: a preset, or the pipeline given. Raises ValueError for flags that contradict each other."""
    text, stages = args.pipeline, merged((), args.stage)
    if text is None:
        if preset is None:
            raise ValueError("found neither --pipeline nor --device nor --preset, expected one of them")
        text, stages = preset.pipeline, merged(preset.stages, args.stage)
    if not stages:
        raise ValueError("--pipeline: found no --stage, expected one or more, as in --stage encoded=enc.src")
    flow = args.flow or (preset.flow if preset is not None else FLOW)
    if DEVICE not in text:
        if args.device is not None:
            raise ValueError(f"--device: the pipeline has no {DEVICE} to put it in, expected device={DEVICE}")
        return Plan(text, stages, flow)
    device = args.device or (preset.device if preset is not None else None)
    if device is None:
        raise ValueError(f"--pipeline: found {DEVICE} and no --device to put there, expected --device DEV")
    return Plan(text.replace(DEVICE, _quoted(device)), stages, flow, Path(device))


def _quoted(value: str) -> str:
    """Return a value as gst-launch-1.0 takes it, whatever characters it has."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
