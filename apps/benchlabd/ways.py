"""How to get to a meter: by the port that was named, or by asking who is on each port that may be one's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from benchlab.clock import Clock
from benchlab.daemon import Absent
from benchlabd.board import Link
from benchlabd.handshake import StrangerError, handshake
from benchlabd.line import LineGoneError, NoPortError, OpenLine
from benchlabd.port import MS, OutOfStepError, Port
from benchlabd.usb import IDS, usb_port, usb_ports

SILENT_NS, LONGEST_SILENT_NS = 1000 * MS, 60_000 * MS
"""A port where nothing answered is asked again after this long, and then after twice as long each time."""
SEARCH_NS = 1500 * MS
"""How long one search may take; the next goes on from there."""


class Dialler:
    """Opens a port and finds out who is there."""

    def __init__(self, open_line: OpenLine, baud: int, clock: Clock, root: Path) -> None:
        self._open_line = open_line
        self._baud = baud
        self.clock = clock
        self.root = root

    def dial(self, path: str) -> Link:
        """Return a link to the meter on a port. Raises Absent."""
        line = self._open_line(path, self._baud)
        port = Port(line, self.clock)
        try:
            device = handshake(port, path)
        except BaseException as error:
            line.close()
            if isinstance(error, LineGoneError):
                raise Absent(f"{path} went away while it was asked: {error}") from None
            if isinstance(error, OutOfStepError):
                raise StrangerError(f"{path}: {error}", is_silent=True) from None
            raise
        return Link(device, port, path, device.uid or f"{device.product.lower()}:{self._place(path)}")

    def _place(self, path: str) -> str:
        """Return what names a device without an id: where it is plugged in."""
        for name in (Path(path).name, Path(path).resolve().name):
            if (found := usb_port(name, self.root)) is not None:
                return found.place
        return path.removeprefix("/dev/")


class Named:
    """The meter on a port that the operator named, whichever it is; until it is known, the log calls it by the port."""

    def __init__(self, dialler: Dialler, path: str) -> None:
        self._dialler = dialler
        self._path = path
        self.dev: str | None = path

    def connect(self, dev: str | None) -> Link:
        """Return a link to the meter that is there now. Raises Absent."""
        return self._dialler.dial(self._path)


@dataclass(frozen=True)
class _Verdict:
    """What was found on a device node: a meter, or why none, and until when and how long that is believed."""

    node: tuple[int, int]
    dev: str | None = None
    why: Absent | None = None
    until_ns: int | None = None
    wait_ns: int = 0


class Search:
    """Any meter on this host, or a certain one, whatever port it is on.

    Ports that turned out to be somebody else's are left alone until they are plugged in anew, silent ones for longer
    and longer. ``first`` is looked at before all others, whatever its USB ids. Several threads may search.
    """

    dev: str | None = None

    def __init__(self, dialler: Dialler, first: str | None = None) -> None:
        self._dialler = dialler
        self._first = first
        self._taken: set[str] = set()
        self._verdicts: dict[str, _Verdict] = {}
        self._lock = Lock()

    def connect(self, dev: str | None) -> Link:
        """Return a link to the meter ``dev``; if that is None, to one that nobody has taken yet. Raises Absent."""
        with self._lock:
            paths = self._paths()
            give_up_ns = self._dialler.clock() + SEARCH_NS
            for path in paths:
                if self._is_ruled_out(path, dev) or self._dialler.clock() > give_up_ns:
                    continue
                link = self._try(path)
                if link is not None and self._is_wanted(link.dev, dev):
                    self._taken.add(link.dev)
                    return link
                if link is not None:
                    link.port.close()
            raise self._nothing(paths)

    def _paths(self) -> list[str]:
        found = [port.path for port in usb_ports(self._dialler.root) if port.ids in IDS]
        return found if self._first is None else [self._first, *(path for path in found if path != self._first)]

    def _try(self, path: str) -> Link | None:
        """Return a link to the meter on a port, None if there is none; either is remembered."""
        node = _node(path)
        if node is None:
            self._verdicts.pop(path, None)
            return None
        try:
            link = self._dialler.dial(path)
        except StrangerError as error:
            self._verdicts[path] = self._against(path, node, error)
            return None
        except Absent as error:
            self._verdicts[path] = _Verdict(node, None, error, 0)
            return None
        self._verdicts[path] = _Verdict(node, link.dev)
        return link

    def _against(self, path: str, node: tuple[int, int], error: StrangerError) -> _Verdict:
        """Return the verdict on a port without a meter: for good on a stranger, for a while where nothing answered."""
        if not error.is_silent:
            return _Verdict(node, None, error)
        before = self._verdicts.get(path)
        waited_ns = before.wait_ns if before is not None and before.node == node else 0
        wait_ns = min(max(2 * waited_ns, SILENT_NS), LONGEST_SILENT_NS)
        return _Verdict(node, None, error, self._dialler.clock() + wait_ns, wait_ns)

    def _is_ruled_out(self, path: str, dev: str | None) -> bool:
        """Tell whether a port need not be opened to know that what is wanted is not there."""
        known = self._verdicts.get(path)
        if known is None or known.node != _node(path):
            return False
        if known.until_ns is not None and self._dialler.clock() >= known.until_ns:
            return False
        return known.dev is None or not self._is_wanted(known.dev, dev)

    def _is_wanted(self, found: str, dev: str | None) -> bool:
        return found == dev if dev is not None else found not in self._taken

    def _nothing(self, paths: Sequence[str]) -> Absent:
        """Return why no meter was found, port by port."""
        known = (self._verdicts.get(path) for path in paths)
        whys = [verdict.why for verdict in known if verdict is not None and verdict.why is not None]
        if not whys:
            first = f"no {self._first}, and no other port" if self._first is not None else "no port"
            return NoPortError(f"{first} that could be a power meter's", "plug it in, or name its port with --device")
        fix = next((why.fix for why in whys if why.fix), "")
        return Absent("; ".join(why.reason for why in whys), fix)


def _node(path: str) -> tuple[int, int] | None:
    """Return what tells a device node from the one that bore its name before."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
