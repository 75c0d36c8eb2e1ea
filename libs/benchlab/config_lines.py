"""In which line of a config.toml a key stands: the parser of TOML keeps no positions."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HEADING = re.compile(r"\s*\[\s*(\w+)\s*\]")
_KEY = re.compile(r"\s*([\w.]+)\s*=")


def key_lines(text: str) -> dict[str, int]:
    """Return ``section.key`` -> line, from 1, for the keys of a valid config.toml.

    A key in an unusual place (an inline table, a name in quotes) is left out: no line is better than a wrong one.
    """
    lines = text.splitlines()
    section, found = "", dict[str, int]()
    for number, line in enumerate(lines, 1):
        if heading := _HEADING.match(line):
            section = heading[1] if _is_whole(lines[: number - 1]) else section
        elif (key := _KEY.match(line)) and _is_whole(lines[: number - 1]):
            found[f"{section}.{key[1]}" if section else key[1]] = number
    return found


def _is_whole(lines: Sequence[str]) -> bool:
    """Return whether a new statement begins behind these lines: what looks like one may be part of a value."""
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True
