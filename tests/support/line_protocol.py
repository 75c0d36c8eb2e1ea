"""A reader of line protocol, character by character from its reference; it shares nothing with the writer."""

from __future__ import annotations

import re
from typing import NamedTuple

Value = float | int | bool | str
Tags = tuple[tuple[str, str], ...]

_INTEGER = re.compile(r"[+-]?[0-9]+i")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUTH = {"t": True, "T": True, "true": True, "True": True, "TRUE": True}
_FALSE = {"f": False, "F": False, "false": False, "False": False, "FALSE": False}


class Point(NamedTuple):
    measurement: str
    tags: Tags
    fields: dict[str, Value]
    ts_ns: int


class Malformed(Exception):
    """A line is not line protocol."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self, expected: str) -> None:
        if self.peek() != expected:
            raise Malformed(f"expected {expected!r} at {self.at}, found {self.peek()!r}")
        self.at += 1

    def name(self, stops: str, escaped: str) -> str:
        """Read up to one of the stops that no backslash stands before."""
        found = ""
        while (char := self.peek()) and char not in stops:
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in tuple(escaped):
                self.at += 1
                char = self.peek()
            found += char
            self.at += 1
        if not found:
            raise Malformed(f"nothing at {self.at}")
        return found

    def string(self) -> str:
        self.take('"')
        found = ""
        while (char := self.peek()) != '"':
            if not char:
                raise Malformed("an open string")
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ('"', "\\"):
                self.at += 1
                char = self.peek()
            found += char
            self.at += 1
        self.take('"')
        return found

    def bare(self) -> str:
        start = self.at
        while self.peek() and self.peek() not in ", ":
            self.at += 1
        return self.text[start : self.at]


def parse(line: str) -> Point:
    """Return the point of a line. Raises Malformed."""
    if "\n" in line or line.startswith("#"):
        raise Malformed("a newline or a comment")
    scanner = _Scanner(line)
    measurement = scanner.name(", ", ", ")
    tags: list[tuple[str, str]] = []
    while scanner.peek() == ",":
        scanner.take(",")
        key = scanner.name(",= ", ",= ")
        scanner.take("=")
        tags.append((key, scanner.name(",= ", ",= ")))
    scanner.take(" ")
    fields: dict[str, Value] = {}
    while True:
        key = scanner.name(",= ", ",= ")
        scanner.take("=")
        fields[key] = scanner.string() if scanner.peek() == '"' else _value(scanner.bare())
        if scanner.peek() != ",":
            break
        scanner.take(",")
    scanner.take(" ")
    ts = scanner.text[scanner.at :]
    if not re.fullmatch(r"-?[0-9]+", ts):
        raise Malformed(f"found {ts!r}, expected a time")
    names = [key for key, _ in tags] + [*fields]
    if len(set(names)) < len(names) or "time" in names:
        raise Malformed("two columns of one name, or one called time")
    return Point(measurement, tuple(sorted(tags)), fields, int(ts))


def _value(text: str) -> Value:
    if _INTEGER.fullmatch(text):
        return int(text[:-1])
    if text in _TRUTH or text in _FALSE:
        return text in _TRUTH
    if _FLOAT.fullmatch(text):
        return float(text)
    raise Malformed(f"found {text!r}, expected a value")
