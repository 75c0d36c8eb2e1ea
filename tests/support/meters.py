"""Power meters for tests: on a line that keeps its own time, on a pty, and on ports of a made tree of /sys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchctl.emulator.device import Device, Make
from benchctl.emulator.emulator import Emulator
from benchctl.emulator.products import make
from benchlab.boards.benchlab import ORIGINAL, Contract, Fan, Frame, Rail
from benchlab.clock import boottime_ns
from benchlab.config_schema import BenchLab
from benchlab.daemon import Absent, Reading, Source, Transient
from benchlab.event import META
from benchlabd.scout import meters

MS = 1_000_000
UID_A = "0123456789ABCDEF01234567"
UID_B = "89ABCDEF0123456789ABCDEF"


class Time:
    """A clock that moves only when a line waits."""

    def __init__(self) -> None:
        self.ns = 1_763_800_000_000_000_000

    def __call__(self) -> int:
        return self.ns


def a_frame(contract: Contract, **changes: Any) -> Frame:
    """Return a frame that is plausible as a whole."""
    rails = tuple(Rail(12_000, 1000 * n, 12_000 * n) for n in range(len(contract.product.rails)))
    frame = Frame(
        inputs_mv=tuple(range(1000, 1013)),
        vdd_mv=3300,
        vref_mv=3000,
        chip=40 * contract.chip_per_degree,
        sensors=tuple(250 + n for n in range(len(contract.product.sensors))),
        ambient=231,
        humidity=415,
        fan_switch=0,
        rgb_switch=0,
        rgb_ext=0,
        fan_ext_duty_pct=255,
        rails=rails,
        fans=tuple(Fan(1, 10 * n, 100 * n) for n in range(9)),
        faults=(0, 0) if contract.has_faults else None,
    )
    return frame._replace(**changes)


ORIGINAL_6 = Contract(ORIGINAL, 6)
FRAME_6 = ORIGINAL_6.encode(a_frame(ORIGINAL_6))


class FakeLine:
    """A line whose device takes ``there_ns()`` to get a request and ``back_ns()`` to have its reply arrive.

    ``sampled_ns`` are the true times at which the sensors were read, ``written`` is all that was sent.
    """

    def __init__(
        self,
        time: Time,
        answer: Callable[[bytes], bytes | None] = lambda request: None,
        there_ns: Callable[[], int] = lambda: MS,
        back_ns: Callable[[], int] = lambda: MS,
        made: Make | None = None,
    ) -> None:
        self._time = time
        self._device = Device(made or make("original", 6, UID_A))
        self._answer = answer
        self._there_ns, self._back_ns = there_ns, back_ns
        self._coming: list[tuple[int, bytes]] = []
        self.sampled_ns: list[int] = []
        self.written: list[bytes] = []
        self.is_closed = False

    def answer_with(self, answer: Callable[[bytes], bytes | None]) -> None:
        """Have the device answer so from now on, and as it should where that is None."""
        self._answer = answer

    def push(self, data: bytes, after_ns: int = 0) -> None:
        """Have bytes arrive that nobody asked for."""
        self._coming.append((self._time.ns + after_ns, data))

    def write(self, data: bytes) -> None:
        self.written.append(data)
        sampled_ns = self._time.ns + self._there_ns()
        if data == b"\1":
            self.sampled_ns.append(sampled_ns)
        reply = self._answer(data)
        if reply is None:
            reply = self._device.answer(data, lambda: FRAME_6)
        if reply:
            self._coming.append((sampled_ns + self._back_ns(), reply))

    def read(self, most: int, wait_ns: int) -> bytes:
        self._coming.sort(key=lambda coming: coming[0])
        until_ns = self._time.ns + max(0, wait_ns)
        if not self._coming or self._coming[0][0] > until_ns:
            self._time.ns = until_ns
            return b""
        due_ns, data = self._coming.pop(0)
        self._time.ns = max(self._time.ns, due_ns)
        if data[most:]:
            self._coming.insert(0, (due_ns, data[most:]))
        return data[:most]

    def close(self) -> None:
        self.is_closed = True


def source(path: str | Path, **settings: Any) -> Source:
    """Return the source of the meter on a port."""
    (one,) = meters(BenchLab(device=str(path), **settings), boottime_ns)
    return one


def on_lines(lines: list[FakeLine], time: Time) -> Source:
    """Return a source that takes the next of these lines each time that it opens its port."""
    (one,) = meters(BenchLab(device="/dev/x"), time, open_port=lambda path, baud: lines.pop(0))
    return one


def take(source: Source, attempts: int = 20) -> Reading:
    """Return the next reading of a source, however often it has to be asked."""
    for _ in range(attempts):
        try:
            readings = source.sample()
        except (Absent, Transient):
            continue
        for reading in readings:
            if reading.source != META:
                return reading
    raise AssertionError("no reading")


def why_not(source: Source) -> Absent | Transient:
    """Return why a source gives no reading."""
    try:
        found = source.sample()
    except (Absent, Transient) as error:
        return error
    raise AssertionError(f"expected no reading, found {found}")


def plug_in(
    root: Path, name: str, emulator: Emulator | Path, place: str, ids: Sequence[str] = ("0483", "5740")
) -> None:
    """Put a port of the made tree where the kernel would put one on USB."""
    interface = root / "sys/devices/usb1" / place / f"{place}:1.0"
    interface.mkdir(parents=True, exist_ok=True)
    for file, text in zip(("idVendor", "idProduct"), ids, strict=True):
        (interface.parent / file).write_text(text + "\n")
    tty = root / "sys/class/tty" / name
    tty.mkdir(parents=True, exist_ok=True)
    (tty / "device").symlink_to(interface)
    node = root / "dev" / name
    node.parent.mkdir(exist_ok=True)
    node.symlink_to(emulator if isinstance(emulator, Path) else emulator.path)


def pull_out(root: Path, name: str) -> None:
    """Take a port away."""
    (root / "dev" / name).unlink()
    (root / "sys/class/tty" / name / "device").unlink()
    (root / "sys/class/tty" / name).rmdir()
