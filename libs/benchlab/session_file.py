"""``session.json``: what a session says of itself, and how it is read and written."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from benchlab import clock
from benchlab.errors import Exit, Fault
from benchlab.files import write_atomic

FILE_NAME = "session.json"

_TIMESTAMP = "%Y-%m-%dT%H-%M-%SZ"
_TIMESTAMP_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(-\d+)?")
_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Anchor(msgspec.Struct, frozen=True):
    """An anchor that was in force until the timeline reached ``until_ns``, and the boot it belonged to."""

    boot_id: str | None
    anchor_ns: int
    until_ns: int


class SessionInfo(msgspec.Struct, kw_only=True):
    """The content of ``session.json``.

    Times are Unix nanoseconds of the session's timeline; ``created`` is the wall clock in ISO 8601, UTC.
    ``anchor_ns`` is None where it is not known. ``continues`` names the session this one was rotated from.
    ``clock_offset_ns`` is wall clock less timeline, measured once the clock was synchronised after all.
    """

    id: str
    node: str | None = None
    created: str | None = None
    starts_ns: int | None = None
    boot_id: str | None = None
    anchor_ns: int | None = None
    anchors: list[Anchor] = []
    clock_synchronised: bool | None = None
    clock_offset_ns: int | None = None
    host: dict[str, Any] = {}
    version: str | None = None
    config_digest: str | None = None
    pinned: bool = False
    closed: bool = False
    closed_ns: int | None = None
    continues: str | None = None


def read_info(folder: Path) -> SessionInfo:
    """Return what a session's file says.

    Raises FileNotFoundError or NotADirectoryError if there is none, Fault (IO) if it makes no sense.
    """
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=SessionInfo)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Fault(
            f"{path}: found {error}, expected the description of a session: restore the file, "
            "or move it away to read the session without its anchors",
            Exit.IO,
        ) from error


def write_info(folder: Path, info: SessionInfo) -> None:
    """Replace a session's file. Raises OSError."""
    compact = msgspec.json.encode(info)
    write_atomic(folder / FILE_NAME, msgspec.json.format(compact, indent=2) + b"\n")


def boot_id_or_none(root: Path) -> str | None:
    """Return the id of this boot, None where the kernel does not tell."""
    try:
        return clock.boot_id(root)
    except Fault:
        return None


def timestamp_name(wall_ns: int) -> str:
    """Return the name of a session that nobody named: ``2025-11-11T14-30-00Z``."""
    return _utc(wall_ns).strftime(_TIMESTAMP)


def iso_utc(wall_ns: int) -> str:
    """Return a wall-clock time as ``2025-11-11T14:30:00.123456Z``."""
    return _utc(wall_ns).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def born_ns(folder: Path, info: SessionInfo) -> int:
    """Return when a session began: as its file says, else its timestamp name, else the folder's mtime."""
    for moment in (_iso_moment(info.created), _named_moment(folder.name)):
        if moment is not None:
            return moment
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _utc(wall_ns: int) -> datetime:
    seconds, rest = divmod(wall_ns, _NS)
    return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=rest // 1000)


def _named_moment(name: str) -> int | None:
    match = _TIMESTAMP_NAME.fullmatch(name)
    try:
        return _since_epoch_ns(datetime.strptime(match[1], _TIMESTAMP)) if match else None
    except ValueError:  # it looks like one, but there is no 31st of February
        return None


def _iso_moment(text: str | None) -> int | None:
    try:
        return _since_epoch_ns(datetime.fromisoformat((text or "").replace("Z", "+00:00")))
    except ValueError:
        return None


def _since_epoch_ns(moment: datetime) -> int:
    passed = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * _NS + passed.microseconds * 1000
