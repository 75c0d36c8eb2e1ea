"""Whether muxd has all of a session's raw data in its aligned files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from benchlab.session import Session

_Length = Annotated[int, msgspec.Meta(ge=0)]
_CHUNK_BYTES = 1 << 20


class Position(msgspec.Struct):
    """How far muxd has taken a stream."""

    offset: _Length = 0


class Checkpoint(msgspec.Struct):
    """The part of muxd's ``state/mux.json`` that tells how far it is."""

    outputs: dict[str, _Length]
    streams: dict[str, Position]
    generation: int = 1
    final: bool = False
    rebuilding: bool = False


_decoder = msgspec.json.Decoder(Checkpoint)


def unconsumed_by_mux(session: Session, *, stays: bool) -> str | None:
    """Return what of a session's raw data is not in its aligned files, and what mends that; None if all is.

    ``stays``: the aligned files outlive the raw data. They must then be final, for what is recorded or decided
    after the raw data is gone would have muxd begin them anew. Raises OSError if that cannot be told.
    """
    streams = _streams(session.dir / "raw")
    if not streams:
        return None
    advice = f"muxd --session {session.name} --once"
    found = checkpoint_of(session)
    if found is None:
        return f"its raw data was never muxed: {advice}"
    if stays and not session.is_bare and not session.info.closed:
        return f"it was never closed: benchctl session close {session.name}, then {advice}"
    if found.rebuilding or (stays and not found.final):
        return f"muxd has not decided it to its end: {advice}"
    for path in streams:
        taken = found.streams.get(path.name, Position()).offset
        if _has_line_beyond(path, taken):
            return f"muxd has taken {taken} of the {path.stat().st_size} bytes of raw/{path.name}: {advice}"
    return _missing_output(session.dir, found.outputs)


def _streams(raw: Path) -> list[Path]:
    """Return the streams that hold anything. Raises OSError: a glob would pass over a folder that is closed to us."""
    try:
        found = [path for path in raw.iterdir() if path.suffix == ".jsonl" and path.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(path for path in found if path.stat().st_size)


def checkpoint_of(session: Session) -> Checkpoint | None:
    """Return muxd's checkpoint, None if there is none or it makes no sense. Raises OSError."""
    try:
        return _decoder.decode((session.dir / "state" / "mux.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _has_line_beyond(path: Path, offset: int) -> bool:
    """Whether a file differs from what was read up to ``offset`` in more than a last line torn off."""
    with path.open("rb") as stream:
        if path.stat().st_size < offset:
            return True
        stream.seek(offset)
        while chunk := stream.read(_CHUNK_BYTES):
            if b"\n" in chunk:
                return True
    return False


def _missing_output(folder: Path, outputs: dict[str, int]) -> str | None:
    """Return which aligned file is not as long as muxd left it; quarantine goes with the raw data."""
    for name, length in sorted(outputs.items()):
        path = folder / "aligned" / name
        if "/" not in name and (path.stat().st_size if path.exists() else 0) < length:
            return f"aligned/{name} is shorter than the {length} bytes that muxd wrote: muxd can write it anew"
    return None
