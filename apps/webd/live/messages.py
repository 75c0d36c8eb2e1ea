"""Server-sent events: encoded once, sent to all who look on. Source: the HTML Standard, section 9.2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from webd.live.cursor import Cursor
from webd.live.rows import Pair, Ring

_encoder = msgspec.json.Encoder()

RETRY = b"retry: 1000\n\n"
"""After so many milliseconds a browser comes back."""


def event(name: str, content: object, cursor: Cursor | None = None) -> bytes:
    """Return one event; ``cursor`` is what its receiver comes back with as Last-Event-ID."""
    identity = b"" if cursor is None else b"id: %s\n" % str(cursor).encode()
    return b"%sevent: %s\ndata: %s\n\n" % (identity, name.encode(), _encoder.encode(content))


class Message:
    """Something that is sent to every viewer, or of ``parts`` to each those of the pair that is looked at.

    The cursor goes with the last part: who is cut off between two of them must be sent both again.
    """

    def __init__(self, parts: Sequence[tuple[Pair | None, bytes]], cursor: Cursor | None = None) -> None:
        self._parts = parts
        self._identity = b"" if cursor is None else b"id: %s\n" % str(cursor).encode()
        self._made: dict[Pair | None, bytes] = {}

    def to(self, pair: Pair | None) -> bytes:
        """Return what is sent to those who look at one pair, or at all of them (None)."""
        made = self._made.get(pair)
        if made is None:
            chosen = [body for of, body in self._parts if pair is None or of is None or of == pair]
            if chosen:
                chosen[-1] = self._identity + chosen[-1]
            made = self._made[pair] = b"".join(chosen)
        return made


def rows_between(ring: Ring, start: int, end: int, pair: Pair | None = None) -> Iterator[tuple[Pair, bytes]]:
    """Yield the events for the rows from offset ``start`` to ``end``: of each pair its frames, then its drops."""
    for name, rows in ring.pairs.items():
        if pair not in (None, name):
            continue
        first, last = rows.frames.find(start), rows.frames.find(end)
        if last > first:
            content: dict[str, Any] = {"pair": name, "sim": ring.sim, **rows.frames.slice(first, last)}
            yield name, event("frames", content)
        first, last = rows.drops.find(start), rows.drops.find(end)
        if last > first:
            yield name, event("drops", {"pair": name, **rows.drops.slice(first, last)})
