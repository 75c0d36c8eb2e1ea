"""Batteries and inputs of the machine, from /sys/class/power_supply.

Source: Documentation/ABI/testing/sysfs-class-power of the Linux kernel. Its units are microvolts, microamperes and
microwatts; the sign of a battery's current is its driver's choice, so that the direction is taken from ``status``.
Only the standard library is needed.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

POWER_SUPPLY = "sys/class/power_supply"

_NOT_TOLD = (errno.ENOENT, errno.ENODATA, errno.EINVAL, errno.ENOTSUP)
_SHOWN = 40


@dataclass(frozen=True)
class Supply:
    """One supply; None is what it does not tell. ``current_a`` and ``power_w`` have the sign that the driver gives.

    ``faults`` says of each file that is there and could not be read as a number what was found instead.
    """

    name: str
    kind: str
    status: str | None
    online: bool | None
    voltage_v: float | None
    current_a: float | None
    power_w: float | None
    capacity_pct: float | None
    is_present: bool = True
    energy_wh: float | None = None
    energy_full_wh: float | None = None
    charge_ah: float | None = None
    charge_full_ah: float | None = None
    faults: tuple[str, ...] = ()

    @property
    def is_discharging(self) -> bool:
        """Whether it is a battery that the machine runs on."""
        return self.status == "Discharging"

    @property
    def magnitude_w(self) -> float | None:
        """The power through it, whichever way: measured by the chip, else voltage times current."""
        if self.power_w:  # some drivers have the file and always say 0
            return abs(self.power_w)
        if self.voltage_v is None or self.current_a is None:
            return None
        return abs(self.voltage_v * self.current_a)


class PowerSupplies:
    """Reads the supplies of the machine itself: not those of a mouse or a phone."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root / POWER_SUPPLY

    def read(self) -> list[Supply]:
        """Return the supplies by name. Never raises: where there are none, the list is empty."""
        places = (_Place(folder) for folder in sorted(self._root.glob("*")))
        return [place.supply() for place in places if place.text("scope") != "Device"]

    def named(self, name: str) -> Supply | None:
        """Return the supply of this name, be it that of a mouse; None if there is none. Never raises."""
        folder = self._root / name
        return _Place(folder).supply() if folder.is_dir() else None


class _Place:
    """The folder of one supply, and what was wrong with its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._faults: list[str] = []

    def supply(self) -> Supply:
        online, present = self._number("online"), self._number("present")
        return Supply(
            name=self._folder.name,
            kind=self.text("type") or "",
            status=self.text("status"),
            online=None if online is None else bool(online),
            voltage_v=self._number("voltage_now", 1e6),
            current_a=self._number("current_now", 1e6),
            power_w=self._number("power_now", 1e6),
            capacity_pct=self._percent("capacity"),
            is_present=present != 0,
            energy_wh=self._number("energy_now", 1e6),
            energy_full_wh=self._number("energy_full", 1e6),
            charge_ah=self._number("charge_now", 1e6),
            charge_full_ah=self._number("charge_full", 1e6),
            faults=tuple(self._faults),
        )

    def text(self, name: str) -> str | None:
        path = self._folder / name
        try:
            return path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            if error.errno not in _NOT_TOLD:
                self._faults.append(f"{path}: {error.strerror}")
            return None

    def _number(self, name: str, per_unit: float = 1.0) -> float | None:
        text = self.text(name)
        try:
            return int(text) / per_unit if text else None
        except (ValueError, OverflowError):
            self._faults.append(f"{self._folder / name}: found {text!r:.{_SHOWN}}, expected an integer")
            return None

    def _percent(self, name: str) -> float | None:
        number = self._number(name)
        if number is None or 0 <= number <= 100:
            return number
        self._faults.append(f"{self._folder / name}: found {number:g}, expected 0 to 100")
        return None
