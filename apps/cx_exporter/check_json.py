"""Judges a CapFrameX JSON by what its importer and its charts need."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cx_exporter.rules import (
    CAPTURE_BOOLEANS,
    CAPTURE_INTEGERS,
    CAPTURE_NUMBERS,
    PMD,
    TIMES,
    Finding,
)

_VERSION = re.compile(r"\d+(\.\d+){1,3}")
_Test = Callable[[Any], bool]


def check(path: Path) -> Iterator[Finding]:
    """Yield what is wrong with a file. Line 1 stands for a document of one line.

    Raises OSError.
    """
    if not path.name.endswith(".json"):
        yield Finding(0, f"name {path.name}: expected the extension .json in lower case")
    document = _load(path)
    if isinstance(document, Finding):
        yield document
        return
    if not isinstance(document, dict):
        yield Finding(1, "the root is no object: expected Hash, Info and Runs")
        return
    yield from (Finding(1, reason) for reason in _document(document))


def _load(path: Path) -> Any:
    """Return the document, or the one finding that tells why there is none."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return Finding(error.lineno, f"no JSON: {error.msg} at column {error.colno}")
    except UnicodeDecodeError as error:
        return Finding(0, f"no UTF-8 text: byte {error.start}")
    except RecursionError:
        return Finding(0, "no capture: nested too deeply")
    except ValueError as error:  # NaN, Infinity, a number of thousands of digits
        return Finding(0, f"no JSON: {error}")


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _document(document: dict[str, Any]) -> Iterator[str]:
    if not _is_text(document.get("Hash")):
        yield "Hash: missing or blank: captures without one collide in the list"
    info = document.get("Info")
    if isinstance(info, dict):
        yield from _info(info)
    else:
        yield "Info: missing: the file is never listed"
    runs = document.get("Runs")
    if not isinstance(runs, list) or not runs:
        yield "Runs: missing or empty: expected at least one run"
        return
    for i, run in enumerate(runs):
        where = f"Runs[{i}]"
        if isinstance(run, dict):
            yield from _run(where, run)
        else:
            yield f"{where}: no object"


def _info(info: dict[str, Any]) -> Iterator[str]:
    version = info.get("AppVersion", "1.8.4")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        yield f"Info.AppVersion is {version!r}: expected a version, or no such key (null is fatal)"
    if not _parses(UUID, info.get("Id")):
        yield f"Info.Id is {info.get('Id')!r}: expected a GUID"
    if not _parses(_iso, info.get("CreationDate")):
        yield f"Info.CreationDate is {info.get('CreationDate')!r}: expected a time in ISO 8601"
    for key in ("Processor", "GameName", "ProcessName", "GPU", "SystemRam", "Comment"):
        if not isinstance(info.get(key), str):
            yield f"Info.{key}: missing: expected a text"


def _run(where: str, run: dict[str, Any]) -> Iterator[str]:
    if not _is_text(run.get("Hash")):
        yield f"{where}.Hash: missing or blank"
    data = run.get("CaptureData")
    if isinstance(data, dict):
        yield from _capture(f"{where}.CaptureData", data)
    else:
        yield f"{where}.CaptureData: missing: there are no frames"
    sensors = run.get("SensorData2")
    if isinstance(sensors, dict):
        yield from _sensors(f"{where}.SensorData2", sensors)
    else:
        yield f"{where}.SensorData2: missing: power averages read NaN"
    yield from _pmd(where, run)


def _capture(where: str, data: dict[str, Any]) -> Iterator[str]:
    tests: dict[str, tuple[_Test, str]] = dict.fromkeys(CAPTURE_NUMBERS, (_is_number, "a number"))
    tests.update(dict.fromkeys(CAPTURE_INTEGERS, (_is_integer, "an integer")))
    tests.update(dict.fromkeys(CAPTURE_BOOLEANS, (_is_bool, "true or false")))
    tests["MsBetweenPresents"] = (_is_frame_time, "a number above 0")
    lengths: dict[str, int] = {}
    for name, (test, expected) in tests.items():
        values = data.get(name)
        if not isinstance(values, list):
            yield f"{where}.{name}: missing: expected an array"
            continue
        lengths[name] = len(values)
        yield from _elements(f"{where}.{name}", values, test, expected)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {n}" for name, n in lengths.items())
        yield f"{where}: arrays of different length ({told})"
    elif not any(lengths.values()):
        yield f"{where}: no frame"


def _sensors(where: str, sensors: dict[str, Any]) -> Iterator[str]:
    for name in TIMES:
        entry = sensors.get(name)
        if not isinstance(entry, dict) or not entry.get("Values"):
            yield f"{where}.{name}: missing or empty: power averages read NaN"
        elif entry.get("Type") != "Time":
            yield f"{where}.{name}: Type is {entry.get('Type')!r}, expected Time"
    length = len(_values(sensors.get("MeasureTime")))
    for key, entry in sensors.items():
        yield from _sensor(f"{where}[{key!r}]", entry, length)


def _sensor(where: str, entry: object, length: int) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield f"{where}: no object"
        return
    for name in ("Name", "Type", "StableIdentifier"):
        if not _is_text(entry.get(name)):
            yield f"{where}.{name}: missing or blank"
    if not isinstance(entry.get("Values"), list):
        yield f"{where}.Values: missing: expected an array"
        return
    yield from _elements(f"{where}.Values", entry["Values"], _is_number, "a number")
    if len(entry["Values"]) != length:
        yield f"{where}.Values: {len(entry['Values'])} values for {length} times"


def _pmd(where: str, run: dict[str, Any]) -> Iterator[str]:
    filled = False
    for name in PMD:
        values = run.get(name, [])
        if not isinstance(values, list):
            yield f"{where}.{name}: no array"
            continue
        filled = filled or bool(values)
        yield from _elements(f"{where}.{name}", values, _is_number, "a number of watts")
    step = run.get("SampleTime")
    if filled and not (isinstance(step, int) and _is_frame_time(step)):
        yield f"{where}.SampleTime is {step!r}: expected the grid step in whole milliseconds"


def _elements(where: str, values: list[Any], test: _Test, expected: str) -> Iterator[str]:
    for i, value in enumerate(values):
        if not test(value):
            yield f"{where}[{i}] is {value!r}: expected {expected}"


def _values(entry: object) -> list[Any]:
    values = entry.get("Values") if isinstance(entry, dict) else None
    return values if isinstance(values, list) else []


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _is_frame_time(value: object) -> bool:
    return _is_number(value) and value > 0  # type: ignore[operator]


def _parses(parse: Callable[[str], object], value: object) -> bool:
    try:
        return isinstance(value, str) and parse(value) is not None
    except ValueError:
        return False


def _iso(text: str) -> datetime:
    """Read an ISO time; Python before 3.11 knows neither ``Z`` nor the seven decimals that .NET writes."""
    plain = re.sub(r"(\.\d{1,6})\d*", lambda m: m[1].ljust(7, "0"), text.replace("Z", "+00:00"))
    return datetime.fromisoformat(plain)
