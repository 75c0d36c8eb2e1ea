"""Whether two programs wrote the same rows."""

from __future__ import annotations

import json
from itertools import zip_longest
from math import isclose
from pathlib import Path
from typing import Any

TOLERANCE = 1e-9


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


def equal(a: Any, b: Any) -> bool:
    """Tell whether two JSON values are equal; floats may differ by a relative 1e-9."""
    if isinstance(a, float) and isinstance(b, float):
        return isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and bool(a == b)
