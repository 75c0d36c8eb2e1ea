"""Points of one series at one time told apart: the second and later ones get a number, the same after any restart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchlab.files import make_dir, write_atomic
from muxd.sinks.cursor import Cursors, FileCursors

Place = tuple[str, int]
Times = dict[str, dict[int, int]]
"""By series: how many points it has at each of its last times."""

KEPT = 8  # times of a series; rows come in the order in which they are decided, so equal times are close together
KEPT_SERIES = 4096  # the ones that had a point last


class Numbers(msgspec.Struct, frozen=True):
    """The numbers above 1 of a batch's records, and the times to go on from behind it."""

    above_one: dict[Place, int]
    after: Times


def number(records: Iterable[tuple[Place, str, int]], before: Times) -> Numbers:
    """Number the records of a batch, each a place, a series and a time; ``before`` stays as it is.

    A number depends on what the log holds before its record, and on nothing else.
    """
    after = {series: dict(times) for series, times in before.items()}
    above_one: dict[Place, int] = {}
    for place, series, ts_ns in records:
        times = after[series] = after.pop(series, {})
        count = times.pop(ts_ns, 0) + 1
        times[ts_ns] = count
        if count > 1:
            above_one[place] = count
        elif len(times) > KEPT:
            del times[next(iter(times))]
        if len(after) > KEPT_SERIES:
            del after[next(iter(after))]
    return Numbers(above_one, after)


class State(msgspec.Struct, frozen=True):
    """How far a server has a session, and what the next numbers follow from."""

    where: str
    cursors: Cursors
    times: Times


class StateFile:
    """``state/influx.json``: what was stored in one database; of another one nothing is known.

    It counts, and is written first. ``state/sinks/influx.json`` has the cursors again, for those who ask of any sink.
    """

    def __init__(self, state_dir: Path, where: str) -> None:
        self._path = state_dir / "influx.json"
        self._where = where
        self._told = FileCursors(state_dir, "influx")

    def load(self) -> State:
        """Return what was saved last; nothing if there is no telling."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=State)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return State(self._where, {}, {})
        return found if found.where == self._where else State(self._where, {}, {})

    def save(self, state: State) -> None:
        """Replace it durably; what knows nothing is not worth a file. Raises OSError."""
        if not state.cursors:
            return
        make_dir(self._path.parent)
        write_atomic(self._path, msgspec.json.encode(state))
        self._told.save(state.cursors)

    def clear(self) -> State:
        """Forget it and return what is known then. Raises OSError."""
        self._told.clear()
        self._path.unlink(missing_ok=True)
        return State(self._where, {}, {})
