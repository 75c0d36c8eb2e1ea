"""Replaying a session: write what its raw files give elsewhere, or hold it against what is there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from benchlab.log.vouched import read_vouched
from benchlab.session import Session
from muxd import checkpoint
from muxd.checkpoint import UnusableError
from muxd.opening import Opener, Progress
from muxd.outputs import LATENCY_FILE, SIGNALS_FILE, Outputs, in_folder, in_session
from muxd.settings import Settings

_BLOCK = 1 << 20


def replay_into(opener: Opener, folder: Path, ignore_late: bool, on_progress: Progress | None = None) -> None:
    """Write the aligned files of a session into a folder."""
    outputs = Outputs(in_folder(folder), {})
    opener.replay(outputs, ignore_late, on_progress).close()


def differences(opener: Opener, session: Session, ignore_late: bool, on_progress: Progress | None = None) -> list[str]:
    """Replay a session and return one line for each aligned file that says something else."""
    with tempfile.TemporaryDirectory(prefix="muxd-replay-") as name:
        folder = Path(name)
        vouched = read_vouched(session.state)  # before the replay: a muxd that is at work goes on meanwhile
        replay_into(opener, folder, ignore_late, on_progress)
        found = []
        for file in (LATENCY_FILE, SIGNALS_FILE):
            limit = None if vouched is None or vouched.final else vouched.outputs.get(file, 0)
            different = first_difference(in_session(session)(file), folder / file, limit)
            if different is not None:
                found.append(f"{file}: differs from its replay at line {different[0]}, byte {different[1]}")
        return [*other_settings(opener.settings, session), *found] if found else []


def other_settings(settings: Settings, session: Session) -> list[str]:
    """Return in a line how the settings differ from those that the aligned files were written with."""
    try:
        kept = checkpoint.load(session.state)
    except UnusableError:
        return []
    if kept is None or kept.digest == settings.digest():
        return []
    now = msgspec.to_builtins(settings)
    different = [key for key in now if msgspec.json.encode(now[key]) != msgspec.json.encode(kept.settings.get(key))]
    told = [f"found {key} {_told(kept.settings.get(key))}, expected {_told(now[key])}" for key in different]
    return [f"the settings differ: {'; '.join(told)}: replay with the --pair and [mux] that aligned/ was made with"]


def _told(value: object) -> str:
    """Return a setting as a command line or a configuration would have it."""
    if isinstance(value, list | tuple):
        return ", ".join(" ".join(map(str, one)) if isinstance(one, list | tuple) else str(one) for one in value)
    return str(value)


def first_difference(written: Path, replayed: Path, limit: int | None) -> tuple[int, int] | None:
    """Return line and offset where two files part; of the first only ``limit`` bytes count, and it may be shorter."""
    if not written.exists():
        return (1, 0)
    with written.open("rb") as a, replayed.open("rb") as b:
        line, offset = 1, 0
        while True:
            size = _BLOCK if limit is None else min(_BLOCK, limit - offset)
            if size == 0:
                return None
            mine, other = a.read(size), b.read(size)
            if mine != other:
                return _parting(mine, other, line, offset)
            if not mine:
                return None if limit is None else (line, offset)
            line += mine.count(b"\n")
            offset += len(mine)


def _parting(mine: bytes, other: bytes, line: int, offset: int) -> tuple[int, int]:
    unequal = (i for i, (x, y) in enumerate(zip(mine, other, strict=False)) if x != y)
    same = next(unequal, min(len(mine), len(other)))
    return line + mine.count(b"\n", 0, same), offset + same
