"""What people have said about a session: notes in ``notes.jsonl``, bookmarks in ``raw/bookmarks.jsonl``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from benchlab.errors import Fault
from benchlab.event import BOOKMARK, Event, Nanoseconds
from benchlab.log.reader import StreamReader
from webd.history.asked import ms

T = TypeVar("T")

NOTES_FILE = "notes.jsonl"


class Note(msgspec.Struct, omit_defaults=True):
    """One line of ``notes.jsonl``; ``ts_ns`` is the wall clock."""

    ts_ns: Nanoseconds
    text: str
    author: str | None = None


def read_notes(folder: Path) -> list[dict[str, Any]]:
    """Return a session's notes, oldest first; lines that are none are left out."""
    notes = sorted(_lines(folder / NOTES_FILE, Note), key=lambda note: note.ts_ns)
    return [{"t_ms": ms(note.ts_ns), "text": note.text, "author": note.author} for note in notes]


def read_bookmarks(folder: Path) -> list[dict[str, Any]]:
    """Return a session's bookmarks in the order of their times."""
    found = _lines(folder / "raw" / "bookmarks.jsonl", Event)
    marks = [event for event in found if event.source == BOOKMARK and "text" in event.kv]
    return [{"t_ms": ms(e.ts_ns), "name": str(e.kv["text"])} for e in sorted(marks, key=lambda e: e.ts_ns)]


def _lines(path: Path, line_type: type[T]) -> Iterator[T]:
    """Yield the good lines of a small file; nothing of one that is missing or cannot be read."""
    try:
        with StreamReader(path, line_type, guard_time=False) as reader:
            at_end = False
            while not at_end:
                batch = reader.read()
                at_end = batch.at_end
                yield from batch.rows
    except Fault:
        return
