"""What readers of aligned files may take: muxd's word in ``state/mux.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

_Length = Annotated[int, msgspec.Meta(ge=0)]


class Vouched(msgspec.Struct, frozen=True):
    """How far the aligned files of a session are settled.

    ``outputs`` is file name -> bytes that will never change within ``generation``; what lies beyond is
    provisional. ``final``: the session is closed and decided to its end. ``rebuilding``: a new generation is
    on its way.
    """

    generation: int
    outputs: dict[str, _Length]
    final: bool = False
    rebuilding: bool = False


_decoder = msgspec.json.Decoder(Vouched)


def read_vouched(state_dir: Path) -> Vouched | None:
    """Return what muxd vouches for; None where that is nothing: no checkpoint, or an unreadable one."""
    try:
        return _decoder.decode((state_dir / "mux.json").read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
