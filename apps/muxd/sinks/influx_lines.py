"""Line protocol: one point as one line that every version of InfluxDB reads alike.

What it cannot say is replaced by a character that looks like it, never dropped: control characters, a newline among
them, by their pictures (␊), half a surrogate pair by �; in names and tags a backslash that would escape what follows
by ＼, and a # that would begin a comment by ＃. Source: the line protocol reference of InfluxDB 1, 2 and 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from benchlab.catalog import InfluxType

Writer = Callable[[object], str]
"""Writes the values of one field, ``key=value``. Raises Unfit."""

UNNAMED = "_"  # stands for an empty name
RESERVED = ("time",)  # no column may be called so

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
_SHOWN = {**_PICTURES, **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}
_AMBIGUOUS = re.compile(r"\\(?=[\\,= ]|$)")
_SPECIAL = re.compile(r"([,= ])")
_SPECIAL_IN_MEASUREMENT = re.compile(r"([, ])")
_QUOTED = re.compile(r'(["\\])')
_LARGEST = 2**63


class Unfit(Exception):
    """A value cannot be a point's; the message says why."""


@lru_cache(maxsize=1024)
def measurement(name: str) -> str:
    """Return a name of a measurement, escaped."""
    shown = _shown_name(name)
    return _SPECIAL_IN_MEASUREMENT.sub(r"\\\1", "＃" + shown[1:] if shown.startswith("#") else shown)


@lru_cache(maxsize=8192)
def key(name: str) -> str:
    """Return the key of a tag or a field, escaped; a reserved one gets an underscore behind it."""
    return _SPECIAL.sub(r"\\\1", _shown_name(f"{name}_" if name in RESERVED else name))


@lru_cache(maxsize=8192)
def tag_value(value: str) -> str:
    """Return the value of a tag, escaped; an empty one cannot be said."""
    return _SPECIAL.sub(r"\\\1", _AMBIGUOUS.sub("＼", value.translate(_SHOWN)))


def head(name: str, tags: Iterable[tuple[str, object]]) -> str:
    """Return what identifies a series: its measurement and those tags that are neither None nor empty."""
    said = ((key(tag), tag_value(str(value))) for tag, value in tags if value is not None and value != "")
    return measurement(name) + "".join(f",{tag}={value}" for tag, value in said)


def line(series: str, fields: Iterable[str], ts_ns: int) -> bytes | None:
    """Return a line without its newline; None where there is no field, for such a point cannot be."""
    said = ",".join(fields)
    return f"{series} {said} {ts_ns}".encode() if said else None


def field_writer(name: str, kind: InfluxType | None = None) -> Writer:
    """Return what writes a field's values as ``field_value`` does; fast where a float is a float, and so on."""
    prefix = f"{key(name)}="
    usual, write = _USUAL.get(kind, (None, None))

    def _write(value: object) -> str:
        if type(value) is usual and write is not None:
            return prefix + write(value)
        try:
            return prefix + field_value(value, kind)
        except Unfit as unfit:
            raise Unfit(f"{name}: {unfit}") from unfit

    return _write


def field_value(value: object, kind: InfluxType | None = None) -> str:
    """Return a field's value as its type is written; where the type is not known, a number is a float.

    Raises Unfit for what the type does not hold.
    """
    if kind is None:
        kind = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "float"
    if kind == "string":
        return text(value if isinstance(value, str) else str(value))
    if not isinstance(value, (int, float)):
        raise Unfit(f"found {value!r:.80}, expected a value of type {kind}")
    if kind == "float":
        return _float(value)
    if kind == "integer":
        return _integer(value)
    return "true" if value else "false"


@lru_cache(maxsize=8192)
def text(value: str) -> str:
    """Return a string as a field's value."""
    return '"' + _QUOTED.sub(r"\\\1", value.translate(_SHOWN)) + '"'


def _shown_name(name: str) -> str:
    return _AMBIGUOUS.sub("＼", name.translate(_SHOWN)) or UNNAMED


def _float(value: float) -> str:
    try:
        said = repr(float(value))
    except OverflowError:
        said = "inf"
    if "n" in said:  # inf, nan
        raise Unfit(f"found {value!r:.80}, expected a finite number")
    return said


def _integer(value: float) -> str:
    if not -_LARGEST <= value < _LARGEST or value != int(value):
        raise Unfit(f"found {value!r:.80}, expected an integer of 64 bits")
    return f"{int(value)}i"


_USUAL: dict[InfluxType | None, tuple[type, Callable[[Any], str]]] = {
    "float": (float, _float),
    "integer": (int, _integer),
    "string": (str, text),
}
