"""Whether two programs wrote the same rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import groupby, zip_longest
from math import isclose
from pathlib import Path
from typing import Any

import msgspec

TOLERANCE = 1e-9

decode = msgspec.json.Decoder(dict[str, Any]).decode


class DifferentError(Exception):
    """Two files say something else; the message names the line."""


def same_rows(a: Path, b: Path) -> int:
    """Return how many rows two files share. Raises DifferentError at the first row that is another."""
    with a.open(encoding="utf-8") as a_lines, b.open(encoding="utf-8") as b_lines:
        number = 0
        for number, (one, other) in enumerate(zip_longest(a_lines, b_lines), 1):
            if one != other and (one is None or other is None or not equal(json.loads(one), json.loads(other))):
                raise DifferentError(f"line {number} is {one} in {a}, but {other} in {b}")
        return number


def equal(a: Any, b: Any, tolerance: float = TOLERANCE) -> bool:
    """Tell whether two JSON values are equal; floats may differ by a relative ``tolerance``."""
    if isinstance(a, float) and isinstance(b, float):
        return isclose(a, b, rel_tol=tolerance, abs_tol=TOLERANCE)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(value, b[key], tolerance) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(one, other, tolerance) for one, other in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


def same_results(ours: Path, theirs: Path, left_out: Collection[str], tolerance: float) -> int:
    """Return how many latency rows two files share where one gives up bytes and the order of what is decided at once.

    Theirs may spell an absent value as null, lack the fields ``left_out``, and differ by ``tolerance`` in floats.
    Raises DifferentError.
    """
    count = 0
    for one, other in zip_longest(decisions(ours, left_out), decisions(theirs, ())):
        if one is None or other is None or len(one) != len(other):
            raise DifferentError(f"{one} in {ours}, but {other} in {theirs}")
        for a, b in zip(one, other, strict=True):
            if not equal(a, b, tolerance):
                raise DifferentError(f"{a} in {ours}, but {b} in {theirs}")
        count += len(one)
    return count


def decisions(path: Path, left_out: Collection[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of latency.jsonl that were decided at the same time together, by stage and frame."""
    with path.open("rb") as lines:
        for _, rows in groupby(map(decode, lines), decided_ns):
            yield sorted((without(row, left_out) for row in rows), key=identity)


def decided_ns(row: dict[str, Any]) -> int:
    ns: int = row["kv"].get("decided_ns") or row["ts_aligned_ns"]
    return ns


def identity(row: dict[str, Any]) -> tuple[str, int, int]:
    kv = row["kv"]
    return kv.get("stage", ""), kv["frame"], row["ts_aligned_ns"]


def without(row: dict[str, Any], left_out: Collection[str]) -> dict[str, Any]:
    kept = {key: value for key, value in row.items() if key not in left_out}
    kept["kv"] = {key: value for key, value in row["kv"].items() if value is not None and key not in left_out}
    return kept
