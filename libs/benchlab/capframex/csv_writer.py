"""The export as PresentMon v1 CSV, led by the metadata lines CapFrameX reads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TextIO

from benchlab.capframex.about import About, plain
from benchlab.capframex.frames import Frame

COLUMNS = (
    "Application,ProcessID,SwapChainAddress,Runtime,SyncInterval,PresentFlags,Dropped,TimeInSeconds,msInPresentAPI,"
    "msBetweenPresents,AllowsTearing,PresentMode,msUntilRenderComplete,msUntilDisplayed,msBetweenDisplayChange"
)
PC_LATENCY = "MsPCLatency"
NOTES = "Note_Power_W,Note_Energy_J"

MIN_LINES_WITH_METADATA = 41
"""CapFrameX lists no file that is shorter."""

# CapFrameX keeps the rows of the dominant swap chain only: all rows bear the same one.
_SWAP_CHAIN = "0x0000000000000001"
_ROWS_PER_WRITE = 4096


def header(about: About) -> list[str]:
    """Return the metadata lines and the column line.

    CapFrameX's editor replaces the first line that contains ``GPU``, ``Processor`` and so on, wherever
    it stands: so the machine comes first and the comment, which may contain anything, last.
    """
    machine = about.machine
    values = {
        "Processor": machine.processor,
        "GPU": machine.gpu,
        "System RAM": machine.ram,
        "Motherboard": machine.motherboard,
        "OS": machine.os,
        "GameName": about.title,
        "ProcessName": about.title,
        "CreationDate": about.created.strftime("%Y-%m-%d"),
        "CreationTime": about.created.strftime("%H:%M:%S"),
        "RecordTime": f"{about.record_s:.6f}",
        "Session": about.session,
        "StageA": about.pair[0],
        "StageB": about.pair[1],
        "Metric": about.metric,
        "PowerSource": about.power_source or "none",
        "Simulated": about.simulated or "no",
        "Comment": about.comment,
    }
    return [f"//{key}={plain(value)}" for key, value in values.items()] + [columns(about)]


def columns(about: About) -> str:
    """Return the column line."""
    return ",".join([COLUMNS, PC_LATENCY, NOTES] if about.metric == "interval" else [COLUMNS, NOTES])


def write(out: TextIO, about: About, frames: Iterable[Frame]) -> None:
    """Write the whole file, in bounded memory."""
    out.write("\n".join(header(about)) + "\n")
    latency_column = about.metric == "interval"
    lines: list[str] = []
    for frame in frames:
        lines.append(_line(about.application, frame, latency_column))
        if len(lines) == _ROWS_PER_WRITE:
            out.write("".join(lines))
            lines.clear()
    out.write("".join(lines))


def _line(application: str, frame: Frame, latency_column: bool) -> str:
    t_ns, dropped, between_ms, latency_ms, display_ms, power_w, energy_j = frame
    seconds = f"{t_ns // 1_000_000_000}.{t_ns % 1_000_000_000:09d}"
    pc_latency = f",{latency_ms:.6f}" if latency_column else ""
    return (
        f"{application},0,{_SWAP_CHAIN},Other,0,0,{dropped:d},{seconds},0,{between_ms:.6f},0,Other,0,"
        f"{latency_ms:.6f},{display_ms:.6f}{pc_latency},{_note(power_w, 3)},{_note(energy_j, 6)}\n"
    )


def _note(value: float, digits: int) -> str:
    """Return a figure of the columns CapFrameX ignores; nothing where it is not known."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"
