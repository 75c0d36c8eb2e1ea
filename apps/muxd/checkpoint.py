"""What muxd knows to be durable: where it stands in every stream, how long its outputs are, what is pending.

The order makes it exact: the raw files that were read and the outputs are synced first, then this file replaces
its predecessor. A start cuts the outputs back to what it vouches for and goes on from there.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchlab.files import write_atomic
from benchlab.log.reader import ReaderState
from muxd.engine import EngineState

VERSION = 1
FILE = "mux.json"


class StreamPosition(msgspec.Struct):
    """How far a stream was read, and the ledger of its lines."""

    reader: ReaderState
    offset: int = 0
    lines: int = 0
    used: int = 0
    late: int = 0
    bad: int = 0


class Checkpoint(msgspec.Struct):
    """``state/mux.json``. ``rebuilding``: the outputs are being replaced, so nothing is vouched for."""

    version: int
    generation: int
    digest: str
    outputs: dict[str, int]
    streams: dict[str, StreamPosition]
    settings: dict[str, object]
    final: bool = False
    rebuilding: bool = False
    engine: EngineState | None = None


class _Positions(msgspec.Struct):
    streams: dict[str, StreamPosition]


class UnusableError(Exception):
    """The checkpoint cannot be gone on from, and why."""


def load(state_dir: Path) -> Checkpoint | None:
    """Return the last checkpoint, None if there was never one. Raises UnusableError."""
    path = state_dir / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = msgspec.json.decode(data, type=Checkpoint)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnusableError(f"{path} cannot be read ({error})") from error
    if found.version != VERSION:
        raise UnusableError(f"{path} is of version {found.version}, expected {VERSION}")
    if found.rebuilding or found.engine is None:
        raise UnusableError(f"{path} was left by a rebuild that did not end")
    return found


def streams_read(state_dir: Path) -> list[str]:
    """Return the streams of which something had been read at the last checkpoint, as far as it can be read."""
    try:
        found = msgspec.json.decode((state_dir / FILE).read_bytes(), type=_Positions)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return sorted(name for name, position in found.streams.items() if position.offset)


def save(state_dir: Path, encoded: bytes) -> None:
    """Replace the checkpoint durably. Raises OSError."""
    write_atomic(state_dir / FILE, encoded)
