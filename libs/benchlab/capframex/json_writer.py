"""The export as CapFrameX's own JSON, which carries power into its charts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import Any, NamedTuple, TextIO
from uuid import NAMESPACE_OID, uuid5

from benchlab.capframex.about import About
from benchlab.capframex.frames import Arranged, Frame
from benchlab.capframex.progress import Progress
from benchlab.capframex.sensors import Power

OTHER_PRESENT_MODE = 9
_VALUES_PER_WRITE = 8192


class Hashes(NamedTuple):
    """What identifies the capture and its one run: equal input gives equal ones, anything else others."""

    capture: str
    run: str


def _ms(value: float) -> float:
    """Round to the digits of the CSV, so that both files say the same."""
    return round(value, 6)


CAPTURE: dict[str, Callable[[Frame], float | int | bool] | float] = {
    "TimeInSeconds": lambda f: f.t_ns / 1e9,
    "MsBetweenPresents": lambda f: _ms(f.between_ms),
    "MsInPresentAPI": 0.0,
    "MsBetweenDisplayChange": lambda f: _ms(f.display_ms),
    "MsUntilRenderComplete": 0.0,
    "MsUntilDisplayed": lambda f: _ms(f.latency_ms),
    "QPCTime": lambda f: f.t_ns / 100,
    "PresentMode": OTHER_PRESENT_MODE,
    "AllowsTearing": 0,
    "SyncInterval": 0,
    "Dropped": lambda f: bool(f.dropped),
    "PcLatency": lambda f: _ms(f.latency_ms),
    "AnimationError": 0.0,
    "GpuActive": 0.0,
    "CpuActive": 0.0,
}
"""Every array of CaptureData: a figure of the frame, or one value for all. QPCTime counts 100 ns ticks."""


def write(out: TextIO, about: About, made: Arranged, power: Power, hashes: Hashes, bar: Progress) -> None:
    """Write the whole file, going through the frames once for each array that varies, in bounded memory."""
    out.write(f'{{"Hash":{_text(hashes.capture)},\n"Info":{_text(info(about, hashes))},\n"Runs":[{{')
    out.write(f'"Hash":{_text(hashes.run)},"PresentMonRuntime":"Other",\n"CaptureData":{{')
    for i, (name, figure) in enumerate(CAPTURE.items()):
        out.write(f'{"," if i else ""}\n"{name}":[')
        if callable(figure) and not (name == "PcLatency" and about.metric == "latency"):
            frames = bar.track(made, f"writing {name}", len(made.frames))
            _write_values(out, map(_value, map(figure, frames)))
        else:
            _write_values(out, repeat(_value(0.0 if callable(figure) else figure), len(made.frames)))
        out.write("]")
    out.write(f'}},\n"SensorData2":{_text(power.sensors)}')
    for name in ("PmdGpuPower", "PmdCpuPower", "PmdSystemPower"):
        out.write(f',\n"{name}":{_text(power.arrays.get(name, []))}')
    out.write(f',\n"SampleTime":{power.step_ms}}}]}}\n')


def info(about: About, hashes: Hashes) -> dict[str, Any]:
    """Return the ``Info`` object. AppVersion is left out: CapFrameX did not write this, and null is fatal."""
    machine = about.machine
    return {
        "Id": str(uuid5(NAMESPACE_OID, hashes.capture)),
        "Processor": machine.processor,
        "GameName": about.title,
        "ProcessName": about.title,
        "CreationDate": about.created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "Motherboard": machine.motherboard,
        "OS": machine.os,
        "SystemRam": machine.ram,
        "GPU": machine.gpu,
        "GPUDriverVersion": machine.gpu_driver,
        "Comment": about.comment,
        "ApiInfo": "Other",
        "ResolutionInfo": "",
    }


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _write_values(out: TextIO, values: Iterator[str]) -> None:
    separator = ""
    while chunk := list(islice(values, _VALUES_PER_WRITE)):
        out.write(separator + ",".join(chunk))
        separator = ","


def _value(value: float) -> str:
    if value is True:
        return "true"
    return "false" if value is False else repr(value)
