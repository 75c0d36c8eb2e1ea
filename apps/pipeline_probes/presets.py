"""Capture devices that come with a pipeline: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_probes.stage_spec import StageSpec

DEVICE = "{device}"
"""What stands in a pipeline for the device."""

ENCODE = (
    f"v4l2src device={DEVICE} ! tee name=ingress ! videoconvert "
    "! x264enc name=enc tune=zerolatency speed-preset=ultrafast ! fakesink sync=false"
)
ENCODE_STAGES = (StageSpec("ingress", "ingress", "sink"), StageSpec("encoded", "enc", "src"))


@dataclass(frozen=True)
class Preset:
    """A capture device: what it is, the flow and the stream its frames go to, where it is, and its pipeline."""

    title: str
    flow: str
    stream: str
    device: str | None
    pipeline: str = ENCODE
    stages: tuple[StageSpec, ...] = ENCODE_STAGES


PRESETS = {
    "v4l2": Preset("any V4L2 device", flow="v4l2", stream="pipeline", device=None),
    "r5c": Preset("R5C", flow="r5c", stream="pipeline", device="/dev/video0"),
    "yuan": Preset("YUAN", flow="yuan", stream="pipeline_yuan", device="/dev/video0"),
}
