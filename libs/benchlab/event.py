"""The vocabulary of the log: raw events and aligned rows, and their one line of JSON each.

Format version 1, described in docs/FORMAT.md. Times are integer nanoseconds of the session's timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

FORMAT_VERSION = 1

META = "meta"
PIPELINE = "pipeline"
BOOKMARK = "bookmark"

Scalar = int | float | bool | str
Table = list[dict[str, Scalar]]
Value = Scalar | Table
Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of ``raw/<stream>.jsonl``.

    ``ts_ns`` is when the quantity was true; ``unc_ns`` the half-width of the interval that holds the true time.
    Readers accept lines that have only ``ts_ns``, ``source`` and ``kv``, and ignore fields they do not know.
    """

    ts_ns: Nanoseconds
    source: str
    kv: dict[str, Any]
    seq: int | None = None
    dev: str | None = None
    cal: dict[str, Any] | None = None
    unc_ns: int | None = None
    sim: bool = False


class Aligned(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of ``aligned/latency.jsonl`` or ``aligned/signals.jsonl`` as a reader sees it.

    ``source`` is ``metric.latency``, ``metric.dropped``, ``metric.late``, or for a signal its own source.
    """

    ts_aligned_ns: Nanoseconds
    source: str
    kv: dict[str, Any]
    dev: str | None = None
    unc_ns: int | None = None
    sim: bool = False
    sim_of: list[str] | None = None


_encoder = msgspec.json.Encoder()


def encode_lines(rows: Iterable[object]) -> bytes:
    """Return one newline-terminated JSON line per row."""
    return _encoder.encode_lines(rows)


def meta(ts_ns: int, event: str, fields: Mapping[str, Value | None] | None = None) -> Event:
    """Return a line in which a stream tells its own story (``start``, ``alive``, ``gap``, ...)."""
    return Event(ts_ns=ts_ns, source=META, kv={"event": event, **(fields or {})})
