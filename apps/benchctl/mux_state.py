"""The part of muxd's checkpoint ``state/mux.json`` that verify judges: its settings and its streams."""

from __future__ import annotations

from pathlib import Path

import msgspec

FILE = "mux.json"


class Settings(msgspec.Struct):
    """The pairs that muxd was told to make."""

    pairs: list[tuple[str, str]] = []


class Taken(msgspec.Struct):
    """How far muxd has taken a raw file, and what it counted up to there."""

    offset: int = 0
    lines: int | None = None
    used: int | None = None
    late: int | None = None
    bad: int | None = None


class MuxState(msgspec.Struct):
    """The checkpoint; fields that are not judged are ignored."""

    generation: int = 1
    outputs: dict[str, int] = {}
    streams: dict[str, Taken] = {}
    settings: Settings = msgspec.field(default_factory=Settings)
    final: bool = False
    rebuilding: bool = False


def read_mux_state(state_dir: Path) -> MuxState | None:
    """Return the checkpoint, None where muxd has not written one.

    Raises ValueError, with what is wrong, for one that cannot be read as a checkpoint; OSError.
    """
    try:
        data = (state_dir / FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=MuxState)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
