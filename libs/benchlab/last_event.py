"""The newest time in a folder of raw streams, found from the ends of the files."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

_TAIL_BYTES = 2 * 1024 * 1024  # twice the longest line there may be
_HOUR_NS = 3_600_000_000_000


class _Stamp(msgspec.Struct):
    ts_ns: int


_decoder = msgspec.json.Decoder(_Stamp)


def last_event_ns(raw: Path) -> int:
    """Return the highest time any stream in ``raw`` ends with, in nanoseconds; 0 if there is none.

    A line more than an hour ahead of all others near the end of its file is taken for damage. Raises OSError.
    """
    return max((_last_ns(path) for path in raw.glob("*.jsonl")), default=0)


def _last_ns(path: Path) -> int:
    times = sorted(time for line in _tail(path) if (time := _time_of(line)) is not None)
    while len(times) > 1 and times[-1] - times[-2] > _HOUR_NS:
        times.pop()
    return times[-1] if times else 0


def _tail(path: Path) -> list[bytes]:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL_BYTES))
        return stream.read().split(b"\n")


def _time_of(line: bytes) -> int | None:
    try:
        return _decoder.decode(line).ts_ns
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
