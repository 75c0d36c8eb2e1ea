"""CapFrameX's two CSV parsers and its JSON reader, as docs/CAPFRAMEX.md states their rules.

Written from the rules alone, straight and slow, and sharing nothing with the exporter: what it gets out of a file
is what CapFrameX would.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class NotListedError(Exception):
    """CapFrameX would refuse the file, or list it as "Unknown"."""


@dataclass
class Capture:
    """What CapFrameX has after an import."""

    metadata: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    frame_ms: list[float] = field(default_factory=list)
    dropped: list[bool] = field(default_factory=list)
    displayed_ms: list[float] = field(default_factory=list)
    pc_latency_ms: list[float] = field(default_factory=list)
    power: dict[str, list[float]] = field(default_factory=dict)
    step_ms: int = 0
    charted: dict[str, list[int]] = field(default_factory=dict)
    sensor_seconds: list[float] = field(default_factory=list)
    hash: str = ""

    @property
    def average_fps(self) -> float:
        return 1000 * len(self.frame_ms) / sum(self.frame_ms)


def _lines(path: Path) -> list[str]:
    lines = re.split("\r\n|\r|\n", path.read_bytes().decode("utf-8-sig"))
    return lines[:-1] if lines[-1] == "" else lines


def _validate(path: Path, lines: list[str]) -> dict[str, str]:
    """The file validator: is it listed, and under which metadata."""
    if path.suffix != ".csv" or path.name == "FrameView_Summary.csv" or path.name.endswith("-stats.csv"):
        raise NotListedError("name")
    if lines[0] == "//Ignore=true":
        raise NotListedError("ignored")
    metadata: dict[str, str] = {}
    at = 0
    while "//" in lines[at]:
        parts = lines[at].replace("//", "").split("=")
        if len(parts) < 2:
            raise NotListedError("no =")
        if parts[0] in metadata:
            raise NotListedError("key twice")
        metadata[parts[0]] = parts[1]
        at += 1
    if "RecordTime" in metadata:
        float(metadata["RecordTime"])
    if len(lines) <= (40 if metadata else 20):
        raise NotListedError("too short")
    for column in ("Application", "Dropped", "TimeInSeconds", "MsBetweenPresents", "MsBetweenDisplayChange"):
        if column.lower() not in lines[at].lower().split(","):
            raise NotListedError(f"no {column}")
    for key in ("Processor", "GPU", "System RAM", "GameName", "Comment"):
        if metadata and key not in metadata:
            raise NotListedError(f"its editor would fail on {key}")
    return metadata


def _index(names: list[str], name: str, any_case: bool = False) -> int:
    return [n.lower() for n in names].index(name.lower()) if any_case else names.index(name)


def read_csv(path: Path) -> Capture:
    """Import a CSV: validator first, then the frame reader."""
    lines = _lines(path)
    capture = Capture(_validate(path, lines))
    while "//" in lines[0]:
        lines = lines[1:]
    if not lines[0].startswith("Application"):
        raise NotListedError("columns do not start with Application")
    names = lines[0].split(",")
    time, dropped = _index(names, "TimeInSeconds"), _index(names, "Dropped")
    between, until = _index(names, "MsBetweenPresents", True), _index(names, "msUntilDisplayed", True)
    rows = [line.split(",") for line in lines[1:]]
    if "SwapChainAddress" in names:
        rows = _dominant(rows, names.index("SwapChainAddress"))
    float(rows[-1][time])
    for row in rows:
        capture.seconds.append(float(row[time]) - float(rows[0][time]))
        capture.frame_ms.append(float(row[between]))
        capture.dropped.append(row[dropped] != "0")
        capture.displayed_ms.append(float(row[until]))
        if "MsPCLatency" in names:
            capture.pc_latency_ms.append(float(row[names.index("MsPCLatency")]))
    return capture


def _dominant(rows: list[list[str]], chain: int) -> list[list[str]]:
    keys = [(row[0], row[chain]) for row in rows]
    most = max(sorted(set(keys)), key=keys.count)
    return [row for row, key in zip(rows, keys, strict=True) if key == most]


def read_json(path: Path) -> Capture:
    """Import a capture in CapFrameX's own format."""
    document = json.loads(path.read_bytes(), parse_constant=_refuse)
    info = document["Info"]
    if info.get("AppVersion", "") is None or not document["Hash"]:
        raise NotListedError("AppVersion null or no Hash")
    (run,) = document["Runs"]
    data = run["CaptureData"]
    if len({len(values) for values in data.values()}) != 1 or len(data) != 15:
        raise NotListedError("15 arrays of one length")
    capture = Capture({key: str(value) for key, value in info.items()}, hash=document["Hash"])
    capture.seconds, capture.frame_ms = data["TimeInSeconds"], data["MsBetweenPresents"]
    capture.dropped, capture.displayed_ms = data["Dropped"], data["MsUntilDisplayed"]
    capture.pc_latency_ms = data["PcLatency"]
    capture.power = {name: run[name] for name in ("PmdGpuPower", "PmdCpuPower", "PmdSystemPower")}
    capture.step_ms = run["SampleTime"]
    _read_sensors(capture, run["SensorData2"])
    return capture


def _read_sensors(capture: Capture, sensors: dict[str, Any]) -> None:
    capture.sensor_seconds = sensors["MeasureTime"]["Values"]
    weights = sensors["BetweenMeasureTime"]["Values"]
    if not sum(weights) > 0:
        raise NotListedError("power averages read NaN")
    for entry in sensors.values():
        for charted in ("GPU Power", "CPU Package"):
            if entry["Type"] == "Power" and charted in entry["Name"]:
                capture.charted[charted] = [round(value) for value in entry["Values"]]
        if len(entry["Values"]) != len(weights):
            raise NotListedError("a cut of the capture would fail")


def _refuse(word: str) -> float:
    raise NotListedError(f"{word} in the file")
