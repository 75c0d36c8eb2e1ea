"""Where the values come from that an emulated device shows: given ones, a recording, or the simulated computer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from benchctl.emulator.device import Make
from benchctl.emulator.wire import COMPUTED, Values
from benchlab.boards.model import BoardModel, PowerRange
from benchlab.event import META, Event
from benchlab.log.lines import LineDecoder
from benchlab.sim import NS, SEED, LoadModel

WIRES = 6
LINES_TOLD = 10


class Source(Protocol):
    """What the sensors read."""

    def frame(self, now_s: float) -> bytes:
        """Return the answer to the command that reads the sensors, at a time of the machine's clock."""
        ...

    def is_over(self, now_s: float) -> bool:
        """Whether there is nothing more to show."""
        ...


class Given:
    """The same values until others are given. Raises ValueError for what the product cannot show."""

    def __init__(self, make: Make, values: Values) -> None:
        unknown = sorted(set(values) - make.keys - COMPUTED)
        if unknown:
            raise ValueError(f"{unknown[0]}: a {make.title} does not show this")
        self._frame = make.encode(values)

    def frame(self, now_s: float) -> bytes:
        """Return the frame."""
        return self._frame

    def is_over(self, now_s: float) -> bool:
        """Given values never end."""
        return False


class Modelled:
    """What the simulated computer draws, that of ``benchlabd --simulate`` with the same seed."""

    def __init__(self, make: Make, seed: int = SEED, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._make = make
        self._board = BoardModel(LoadModel(seed), PowerRange(), seed)
        self._now_ns = now_ns

    def frame(self, now_s: float) -> bytes:
        """Return the frame of this moment."""
        values = dict(self._board.measure(self._now_ns()))
        return self._make.encode({**values, **_wires(values)} if "hpwr1_wire1_v" in self._make.keys else values)

    def is_over(self, now_s: float) -> bool:
        """A model never ends."""
        return False


class _Moment(NamedTuple):
    at_s: float
    frame: bytes


class Recorded:
    """A recorded stream, shown with its own distances in time from the first reading on.

    ``speed`` 2 is twice as fast. After the last line it is over, with ``loop`` it begins again. Lines that are no
    reading are told to ``say`` and left out. Raises ValueError if none is left, OSError where there is no file.
    """

    def __init__(
        self, make: Make, path: Path, say: Callable[[str], None], speed: float = 1.0, *, loop: bool = False
    ) -> None:
        self._make, self._path, self._say = make, path, say
        self._speed, self._loop = speed, loop
        self._moments = self._read()
        first = next(self._moments, None)
        if first is None:
            raise ValueError(f"{path}: found no reading that a {make.title} could show")
        self._shown = first
        self._coming = next(self._moments, None)
        self._began_s: float | None = None
        self._lap_s = 0.0
        self._step_s = 0.1  # from the last line to the end, or to the next lap

    def frame(self, now_s: float) -> bytes:
        """Return the newest frame that was recorded by now."""
        self._advance(now_s)
        return self._shown.frame

    def is_over(self, now_s: float) -> bool:
        """Whether the last line has been shown for as long as the one before it."""
        if self._began_s is None or self._loop:
            return False
        self._advance(now_s)
        return self._coming is None and (now_s - self._began_s) * self._speed >= self._end_s()

    def _advance(self, now_s: float) -> None:
        if self._began_s is None:
            self._began_s = now_s
        elapsed_s = (now_s - self._began_s) * self._speed
        while True:
            if self._coming is None and self._loop:
                self._coming = self._begin_again(elapsed_s)
            if self._coming is None or self._coming.at_s > elapsed_s:
                return
            self._step_s = max(self._coming.at_s - self._shown.at_s, 0.001)
            self._shown, self._coming = self._coming, self._following()

    def _end_s(self) -> float:
        return self._shown.at_s + self._step_s

    def _begin_again(self, elapsed_s: float) -> _Moment | None:
        """Return the first line of the next lap, or of the one that is due if nobody has read for several."""
        end_s = self._end_s()
        whole = max(0.0, (elapsed_s - end_s) // (end_s - self._lap_s))
        self._lap_s = end_s + whole * (end_s - self._lap_s)
        self._moments = self._read(tell=False)
        return self._following()

    def _following(self) -> _Moment | None:
        moment = next(self._moments, None)
        return None if moment is None else moment._replace(at_s=self._lap_s + moment.at_s)

    def _read(self, *, tell: bool = True) -> Iterator[_Moment]:
        """Yield what can be shown, and when after the first of it; time never runs back."""
        reader = _Lines(self._make, self._path, self._say if tell else lambda _: None)
        first_ns, at_s, device = None, 0.0, None
        for event, frame in reader.readings():
            if first_ns is None:
                first_ns, device = event.ts_ns, event.dev
            if event.dev != device:
                continue
            at_s = max(at_s, (event.ts_ns - first_ns) / NS)
            yield _Moment(at_s, frame)


class _Lines:
    """The lines of a recording."""

    def __init__(self, make: Make, path: Path, say: Callable[[str], None]) -> None:
        self._make, self._path, self._say = make, path, say
        self._decoder = LineDecoder(Event)
        self._bad = 0
        self._strange: set[str] = set()

    def readings(self) -> Iterator[tuple[Event, bytes]]:
        """Yield every line that can be shown, with the frame that shows it."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield from self._reading(number, line)
        if self._bad > LINES_TOLD:
            self._say(f"{self._path}: {self._bad} lines left out in all")

    def _reading(self, number: int, line: bytes) -> Iterator[tuple[Event, bytes]]:
        try:
            event = self._decoder.decode_line(line.rstrip(b"\n"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._leave_out(number, f"{self._decoder.reason_for(error)}: {error}")
        if event.source == META or not self._make.keys.union(COMPUTED).intersection(event.kv):
            return
        self._tell_strange(number, event.kv.keys() - self._make.keys - COMPUTED - self._strange)
        try:
            yield event, self._make.encode(event.kv)
        except ValueError as error:
            self._leave_out(number, str(error))

    def _tell_strange(self, number: int, keys: set[str]) -> None:
        """Say once of each key that the product does not show it."""
        if keys:
            self._strange |= keys
            self._say(f"{self._path}:{number}: a {self._make.title} does not show {', '.join(sorted(keys))}")

    def _leave_out(self, number: int, why: str) -> None:
        self._bad += 1
        if self._bad <= LINES_TOLD:
            self._say(f"{self._path}:{number}: left out: {why}")


def read_values(path: Path) -> Values:
    """Return the values of a JSON file, by keys of the catalog, or rails as ``{"eps1": {"v": 12, "a": 3, "w": 36}}``.

    Raises OSError where there is no file, ValueError for what is no such object.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, float | bool | str | dict[str, float]])
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}; expected an object of values by key") from None
    values: dict[str, object] = {}
    for key, value in found.items():
        values |= {f"{key}_{letter}": v for letter, v in value.items()} if isinstance(value, dict) else {key: value}
    return values


def _wires(values: Values) -> dict[str, object]:
    """Return what the wires of the plugs carry: all of a plug the same."""
    found: dict[str, object] = {}
    for plug in ("hpwr1", "hpwr2"):
        for quantity, parts in (("v", 1), ("a", WIRES), ("w", WIRES)):
            value = values[f"{plug}_{quantity}"]
            assert isinstance(value, float)
            found |= {f"{plug}_wire{n}_{quantity}": value / parts for n in range(1, WIRES + 1)}
    return found
