"""Judges a PresentMon CSV by the rules of CapFrameX's two parsers, line by line, in bounded memory."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchlab.capframex.csv_writer import MIN_LINES_WITH_METADATA
from cx_exporter.rules import (
    ANY_CASE,
    EXACT_CASE,
    IGNORE,
    MARKER,
    METADATA_NEEDED,
    MIN_LINES,
    NUMERIC,
    REQUIRED_COLUMNS,
    Finding,
    number,
)

_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d")


def check(path: Path) -> Iterator[Finding]:
    """Yield what is wrong with a file, in the order of its lines. Raises OSError."""
    yield from _check_name(path.name)
    with path.open(encoding="utf-8-sig", errors="replace", newline=None) as lines:
        yield from _Judge().judge(line.rstrip("\n") for line in lines)
    yield from _check_end(path)


def rows_digest(path: Path) -> str:
    """Return what CapFrameX takes for a file's identity: a hash of its data rows. Raises OSError."""
    digest = hashlib.sha256()
    in_rows = False
    with path.open(encoding="utf-8-sig", errors="replace", newline=None) as lines:
        for line in lines:
            if in_rows:
                digest.update(line.encode())
            in_rows = in_rows or MARKER not in line
    return digest.hexdigest()


def _check_name(name: str) -> Iterator[Finding]:
    if not name.endswith(".csv"):
        yield Finding(0, f"name {name}: expected the extension .csv in lower case")
    if name == "FrameView_Summary.csv" or name.endswith("-stats.csv"):
        yield Finding(0, f"name {name}: CapFrameX takes FrameView_Summary.csv and *-stats.csv for summaries")


def _check_end(path: Path) -> Iterator[Finding]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 2))
        end = file.read()
    if size and not end.endswith((b"\n", b"\r")):
        yield Finding(0, "the last line has no newline: expected exactly one at the end")


class _Judge:
    """Goes through the lines once and remembers only what later rules need."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self._names: list[str] = []
        self._at: dict[str, int] = {}
        self._chains: Counter[tuple[str, str]] = Counter()
        self._lines = 0
        self._rows = 0
        self._last_time: tuple[int, str] | None = None

    def judge(self, lines: Iterator[str]) -> Iterator[Finding]:
        take: Callable[[int, str], Iterator[Finding]] = self._metadata
        for n, line in enumerate(lines, 1):
            self._lines = n
            if take == self._metadata and MARKER not in line:
                yield from self._columns(n, line)
                take = self._row
                continue
            yield from take(n, line)
        yield from self._whole()

    def _metadata(self, n: int, line: str) -> Iterator[Finding]:
        if n == 1 and line == IGNORE:
            yield Finding(n, f"{IGNORE}: CapFrameX passes over the file")
        key, equals, value = line.replace(MARKER, "", 1).partition("=")
        if not line.startswith(MARKER):
            yield Finding(n, f"'{MARKER}' inside the line: CapFrameX takes it for metadata")
        if not equals:
            yield Finding(n, "metadata without '=': CapFrameX refuses the file")
            return
        if key in self._keys:
            yield Finding(n, f"key {key} again, first in line {self._keys[key]}: CapFrameX refuses the file")
        self._keys.setdefault(key, n)
        if "=" in value:
            yield Finding(n, f"value of {key} is cut at its '='")
        if MARKER in value:
            yield Finding(n, f"'{MARKER}' inside the value of {key} is deleted")
        yield from _check_value(n, key, value)

    def _columns(self, n: int, line: str) -> Iterator[Finding]:
        self._names = names = line.split(",")
        if line.startswith("#"):
            yield Finding(n, "a line with '#': CapFrameX knows no such comments")
        elif not line.startswith("Application"):
            yield Finding(n, f"the column line starts with {names[0][:40]!r}: expected Application")
        lowered = {name.lower(): i for i, name in enumerate(names)}
        missing = [name for name in REQUIRED_COLUMNS if name.lower() not in lowered]
        if missing:
            yield Finding(n, f"no column {', '.join(missing)}: expected columns separated by commas")
        for name in EXACT_CASE:
            i = lowered.get(name.lower())
            if i is not None and name not in names:
                yield Finding(n, f"column {names[i]}: CapFrameX knows it only as {name}")
        self._at = {name: names.index(name) for name in EXACT_CASE if name in names}
        self._at.update({name: lowered[name.lower()] for name in ANY_CASE if name.lower() in lowered})
        if "SwapChainAddress" in names:
            self._at["SwapChainAddress"] = names.index("SwapChainAddress")

    def _row(self, n: int, line: str) -> Iterator[Finding]:
        self._rows += 1
        if not line:
            yield Finding(n, "a blank line: it becomes a frame of 0 ms")
            return
        if line.startswith("#"):
            yield Finding(n, "a line with '#': CapFrameX knows no such comments")
            return
        values = line.split(",")
        if '"' in line:
            yield Finding(n, "a quotation mark: CapFrameX knows no quoting")
        if len(values) != len(self._names):
            yield Finding(
                n,
                f"{len(values)} values for {len(self._names)} columns: a comma inside a value, or a torn row",
            )
            return
        yield from self._values(n, {name: values[i] for name, i in self._at.items()})

    def _values(self, n: int, value: dict[str, str]) -> Iterator[Finding]:
        if "SwapChainAddress" in value:
            self._chains[value.get("Application", ""), value["SwapChainAddress"]] += 1
        if value.get("Dropped", "0") not in ("0", "1"):
            yield Finding(n, f"Dropped is {value['Dropped']!r}: expected 0 or 1, anything else counts as dropped")
        between = number(value.get("MsBetweenPresents", "1"))
        if between is None or not 0 < between < math.inf:
            yield Finding(n, f"MsBetweenPresents is {value['MsBetweenPresents']!r}: expected a number above 0")
        time = value.get("TimeInSeconds")
        if time is not None:
            self._last_time = n, time
            if not _is_finite(time):
                yield Finding(n, f"TimeInSeconds is {time!r}: expected a number")
        for name in NUMERIC:
            if name in value and not _is_finite(value[name]):
                yield Finding(n, f"{name} is {value[name]!r}: expected a number, 0 where it is not known")

    def _whole(self) -> Iterator[Finding]:
        if not self._names:
            yield Finding(0, "no column line: expected one that starts with Application")
            return
        need = MIN_LINES_WITH_METADATA if self._keys else MIN_LINES
        if self._lines < need:
            yield Finding(0, f"{self._lines} lines: CapFrameX lists files of {need} lines or more, metadata counted")
        if self._keys:
            missing = [key for key in METADATA_NEEDED if key not in self._keys]
            if missing:
                yield Finding(0, f"no metadata {', '.join(missing)}: CapFrameX's editor looks them up unguarded")
        if self._last_time and not _is_finite(self._last_time[1]):
            yield Finding(self._last_time[0], "TimeInSeconds of the last row is no number: the whole file is rejected")
        if len(self._chains) > 1:
            (application, address), kept = self._chains.most_common(1)[0]
            those = f"{kept} of {self._rows} rows, {application} {address}"
            yield Finding(0, f"{len(self._chains)} swap chains: CapFrameX keeps {those}", note=True)


def _check_value(n: int, key: str, value: str) -> Iterator[Finding]:
    if key == "RecordTime" and not _is_finite(value):
        yield Finding(n, f"RecordTime is {value!r}: no number, CapFrameX refuses the file")
    if key == "CreationDate" and not _DATE.fullmatch(value):
        yield Finding(n, f"CreationDate is {value!r}: expected yyyy-MM-dd")
    if key == "CreationTime" and not _TIME.fullmatch(value):
        yield Finding(n, f"CreationTime is {value!r}: expected HH:mm:ss")


def _is_finite(text: str) -> bool:
    value = number(text)
    return value is not None and math.isfinite(value)
