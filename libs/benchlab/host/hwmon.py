"""Sensors of the host's chips: temperatures, powers, voltages and currents, from /sys/class/hwmon.

Source: Documentation/hwmon/sysfs-interface.rst of the Linux kernel. Its units are milli- and microunits.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic_ns

import msgspec

from benchlab.daemon.source import Absent, Transient
from benchlab.host.procfile import ProcFile

HWMON = "sys/class/hwmon"
RESCAN_NS = 10_000_000_000

_INPUT = re.compile(r"(temp|power|in|curr)(\d+)_(input|average)")
_QUANTITIES = {
    "temp": ("temp_c", 1e3),
    "power": ("power_w", 1e6),
    "in": ("voltage_v", 1e3),
    "curr": ("current_a", 1e3),
}
_OFF = -256_000
"""What a thermal sensor says whose part of the chip is switched off."""

_INA3221_RAILS = 3  # its further "voltages" are shunts and their sum, in another unit


class Sensor(msgspec.Struct, frozen=True):
    """One value: ``name`` is the kernel's (``temp1``), ``label`` the driver's word for it, else the name.

    ``quantity`` is ``temp_c``, ``power_w``, ``voltage_v`` or ``current_a``.
    """

    name: str
    label: str
    quantity: str
    value: float


class ChipReading(msgspec.Struct, frozen=True):
    """One chip: ``name`` is its driver's, ``device`` its place below /sys/devices, empty where it has none.

    ``address`` tells it from all others: the name and as much of the place as that takes.
    """

    name: str
    device: str
    address: str
    sensors: list[Sensor]


class Hwmon:
    """Reads the chips under ``root``; they are known by name and device, for numbers change with every start."""

    def __init__(self, root: Path = Path("/"), monotonic: Callable[[], int] = monotonic_ns) -> None:
        self._root = root
        self._monotonic = monotonic
        self._folders: list[str] = []
        self._chips: list[_Chip] = []
        self._rescan_ns = 0

    def read(self) -> list[ChipReading]:
        """Return the chips of which a sensor answered. Raises Absent if there is no chip, Transient if none did."""
        self._scan_if_due()
        try:
            found = [chip.read() for chip in self._chips]
        except FileNotFoundError:
            self._scan()
            try:
                found = [chip.read() for chip in self._chips]
            except FileNotFoundError as error:
                raise Transient(f"{error.filename}: came and went: looked for again next time") from None
        if not found:
            wanted = "a temperature, power, voltage or current"
            fix = "sudo sensors-detect finds the driver of a board's chip; most virtual machines have none"
            raise Absent(f"no chip with {wanted} in {self._root / HWMON}", fix)
        answered = [chip for chip in found if chip.sensors]
        if not answered:
            raise Transient(f"none of {len(found)} chips in {self._root / HWMON} has a value")
        return answered

    def _scan_if_due(self) -> None:
        now_ns = self._monotonic()
        if self._chips and now_ns < self._rescan_ns:
            return
        self._rescan_ns = now_ns + RESCAN_NS
        if not self._chips or _folders(self._root) != self._folders:
            self._scan()

    def _scan(self) -> None:
        for chip in self._chips:
            chip.close()
        self._folders = _folders(self._root)
        found = filter(None, (_find(self._root, folder) for folder in self._folders))
        self._chips = sorted(found, key=lambda chip: (chip.name, chip.device))
        _give_addresses(self._chips)


class _Channel:
    """One sensor of a chip, its file kept open."""

    def __init__(self, root: Path, folder: str, kind: str, number: int, suffix: str) -> None:
        self.name = f"{kind}{number}"
        self.quantity, self._per_unit = _QUANTITIES[kind]
        self._file = ProcFile(root, f"{folder}/{self.name}_{suffix}")
        fault = ProcFile(root, f"{folder}/{self.name}_fault")
        self._fault = fault if fault.path.exists() else None
        self.label = _text(root / folder / f"{self.name}_label") or self.name

    def read(self) -> Sensor | None:
        """Return the value, None if there is none at the moment. Raises FileNotFoundError if the device is gone."""
        try:
            value = self._file.number()
            faulty = self._fault is not None and bool(self._fault.number())
        except (PermissionError, Transient):
            return None
        if value is None or faulty or (self.quantity == "temp_c" and value == _OFF):
            return None
        return Sensor(self.name, self.label, self.quantity, value / self._per_unit)

    def close(self) -> None:
        self._file.close()
        if self._fault is not None:
            self._fault.close()


class _Chip:
    def __init__(self, name: str, device: str, channels: list[_Channel]) -> None:
        self.name = name
        self.device = device
        self.address = name
        self._channels = channels

    def read(self) -> ChipReading:
        sensors = [sensor for channel in self._channels if (sensor := channel.read()) is not None]
        return ChipReading(self.name, self.device, self.address, sensors)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


def _give_addresses(chips: list[_Chip]) -> None:
    """Name each chip by its device's last folder, by all of it where that is not enough, else by a count."""
    short = Counter((chip.name, chip.device.rpartition("/")[2]) for chip in chips)
    seen: Counter[str] = Counter()
    for chip in chips:
        last = chip.device.rpartition("/")[2]
        place = last if short[chip.name, last] == 1 else chip.device
        chip.address = f"{chip.name}@{place}" if place else chip.name
        seen[chip.address] += 1
        if seen[chip.address] > 1:
            chip.address += f"#{seen[chip.address]}"


def _folders(root: Path) -> list[str]:
    try:
        return sorted(os.listdir(root / HWMON))  # noqa: PTH208  # asked for again and again: no Path for each
    except OSError:
        return []


def _find(root: Path, folder: str) -> _Chip | None:
    """Return the chip in a folder, None if it has no name or no sensor."""
    name = _text(root / HWMON / folder / "name")
    channels = list(_channels(root, folder, name)) if name else []
    return _Chip(name, _device(root, folder), channels) if channels else None


def _channels(root: Path, folder: str, chip: str) -> Iterator[_Channel]:
    files: dict[tuple[str, int], str] = {}
    for file in sorted(_listed(root / HWMON / folder)):  # an average before an input, which replaces it
        if found := _INPUT.fullmatch(file):
            files[found[1], int(found[2])] = found[3]
    for (kind, number), suffix in sorted(files.items()):
        if not (chip == "ina3221" and kind == "in" and number > _INA3221_RAILS):
            yield _Channel(root, f"{HWMON}/{folder}", kind, number, suffix)


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []


def _device(root: Path, folder: str) -> str:
    """Return the place of a chip's device below /sys/devices, which stays the same from start to start."""
    link = root / HWMON / folder / "device"
    if not link.is_symlink():
        return ""
    place = os.path.relpath(os.path.realpath(link), os.path.realpath(root / "sys/devices"))
    return place.removeprefix("../")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "backslashreplace").strip()
    except OSError:
        return ""
