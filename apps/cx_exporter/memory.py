"""``state/cx-export.json``: what was exported of a session, so that it is exported once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchlab.files import write_atomic

FILE = "cx-export.json"
VERSION = 1


class Exported(msgspec.Struct):
    """One pair: the files that were written, and what makes them no proper capture."""

    pair: tuple[str, str]
    files: list[str] = []
    problems: list[str] = []


class Memory(msgspec.Struct):
    """What was exported of the aligned files of one generation; ``complete`` once that is all of their pairs."""

    generation: int
    exported: list[Exported] = []
    complete: bool = False
    version: int = VERSION

    def has(self, pair: tuple[str, str]) -> bool:
        """Return whether a pair is done."""
        return any(done.pair == pair for done in self.exported)


def recall(state_dir: Path, generation: int) -> Memory:
    """Return what was exported of this generation: nothing where it is of another, or makes no sense."""
    try:
        found = msgspec.json.decode((state_dir / FILE).read_bytes(), type=Memory)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Memory(generation)
    known = found.generation == generation and found.version == VERSION
    return found if known else Memory(generation)


def remember(state_dir: Path, memory: Memory) -> None:
    """Keep it durably. Raises OSError."""
    write_atomic(state_dir / FILE, msgspec.json.encode(memory))
