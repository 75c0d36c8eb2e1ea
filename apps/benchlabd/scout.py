"""Which meters are read: the one that is there, all that are there, or those on the ports that were named."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from benchlab.catalog.board import SOURCE
from benchlab.clock import Clock
from benchlab.config_schema import BenchLab
from benchlab.daemon import Absent, Reading, Source
from benchlab.errors import Exit, Fault
from benchlabd.board import Board, Link
from benchlabd.line import OpenLine, open_serial
from benchlabd.port import MS
from benchlabd.ways import Dialler, Named, Search

AUTO = "auto"
DEFAULT = BenchLab().device
SEARCH_EVERY_NS = 1000 * MS

MakeBoard = Callable[[Named | Search, Link | None], Board]


class Scout:
    """Looks for meters, those that are plugged in later too, and hands each to the daemon as a source of its own.

    It is absent only while none was ever found: a source that is down without a ``dev`` speaks for all of its name.
    """

    name = SOURCE

    def __init__(self, search: Search, make_board: MakeBoard, clock: Clock) -> None:
        self._clock = clock
        self._due_ns = 0
        self._search = search
        self._make_board = make_board
        self._found = 0
        self._new: deque[Source] = deque()  # which two threads use at once

    def sample(self) -> Sequence[Reading]:
        """Look at the ports, once a second. Raises Absent while there is no meter on any of them."""
        if self._clock() < self._due_ns:
            return ()
        try:
            while True:
                self._new.append(self._make_board(self._search, self._search.connect(None)))
                self._found += 1
        except Absent:
            if not self._found:
                raise
        self._due_ns = self._clock() + SEARCH_EVERY_NS
        return ()

    def arrivals(self) -> Sequence[Source]:
        """Return the meters that were found since this was asked last."""
        return [self._new.popleft() for _ in range(len(self._new))]


def meters(
    settings: BenchLab,
    clock: Clock,
    is_chosen: bool = True,
    root: Path = Path("/"),
    open_port: OpenLine = open_serial,
) -> list[Source]:
    """Return the sources of the devices that the settings name, separated by commas, or ``auto``.

    The default port, unless it was chosen by the operator, only comes first: if no meter is there, the others are
    asked. Raises Fault (USAGE) for ``auto`` beside others.
    """
    dialler = Dialler(open_port, settings.baud, clock, root)
    interval_ns = round(settings.calibration_interval_sec * 1e9)

    def make_board(way: Named | Search, link: Link | None = None) -> Board:
        return Board(way, clock, interval_ns, settings.offset_ns, link)

    paths = [path.strip() for path in settings.device.split(",")]
    if paths == [AUTO]:
        return [Scout(Search(dialler), make_board, clock)]
    if AUTO in paths or "" in paths:
        raise Fault(f"device: found {settings.device!r}, expected {AUTO}, or ports separated by commas", Exit.USAGE)
    if paths == [DEFAULT] and not is_chosen:
        return [make_board(Search(dialler, str(root / DEFAULT.lstrip("/"))))]
    return [make_board(Named(dialler, path)) for path in dict.fromkeys(paths)]
