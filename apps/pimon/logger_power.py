"""The battery as the stand-alone logger reads it, from /sys/class/power_supply. Only the standard library.

Source: Documentation/ABI/testing/sysfs-class-power of the Linux kernel; its units are microvolts, -amperes, -watts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AUTO, NONE = "auto", "none"
POWER_SUPPLY = "sys/class/power_supply"


@dataclass(frozen=True)
class Power:
    """A battery now: volts, amperes, watts, percent. What it does not tell is None; negative is discharging."""

    voltage: float | None = None
    current: float | None = None
    power: float | None = None
    battery_pct: float | None = None


class PowerSupply:
    """Reads one battery: by name, or ``auto``, the first of type Battery; ``none`` reads nothing."""

    def __init__(self, which: str, root: Path = Path("/")) -> None:
        self._which = which
        self._root = root / POWER_SUPPLY

    def read(self) -> Power:
        """Return what can be read now; nothing where there is no battery. Never raises OSError."""
        place = self.place()
        return Power() if place is None else _read(place)

    def place(self) -> Path | None:
        """Return the folder of the battery, None if there is none now."""
        if self._which == NONE:
            return None
        if self._which != AUTO:
            place = self._root / self._which
            return place if place.is_dir() else None
        try:
            return next((p for p in sorted(self._root.iterdir()) if _is_battery_of_machine(p)), None)
        except OSError:
            return None

    def present(self) -> list[str]:
        """Return the names of all supplies."""
        try:
            return sorted(path.name for path in self._root.iterdir())
        except OSError:
            return []


def _is_battery_of_machine(place: Path) -> bool:
    return _text(place / "type") == "Battery" and _text(place / "scope") != "Device"  # not that of a mouse


def _read(place: Path) -> Power:
    voltage = _micro(place / "voltage_now")
    current = _signed(_micro(place / "current_now"), _text(place / "status"))
    told = _micro(place / "power_now")
    if told:  # some drivers have the file and always say 0
        power = _signed(told, _text(place / "status"), like=current)
    else:
        power = None if voltage is None or current is None else voltage * current
    return Power(voltage, current, power, _percent(place / "capacity"))


def _signed(value: float | None, status: str | None, like: float | None = None) -> float | None:
    """Return a value with the sign of what the battery does: drivers disagree on theirs."""
    if value is None:
        return None
    if status == "Discharging":
        return -abs(value)
    if status == "Charging":
        return abs(value)
    return value if like is None else abs(value) * (-1 if like < 0 else 1)


def _micro(path: Path) -> float | None:
    number = _integer(path)
    return None if number is None else number / 1e6


def _percent(path: Path) -> float | None:
    number = _integer(path)
    return None if number is None or not 0 <= number <= 100 else float(number)


def _integer(path: Path) -> int | None:
    text = _text(path)
    try:
        return int(text) if text else None
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not told, gone, or no value at the moment: all the same
        return None
