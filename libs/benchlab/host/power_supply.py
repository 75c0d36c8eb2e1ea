"""Batteries and inputs of the machine, from /sys/class/power_supply.

Source: Documentation/ABI/testing/sysfs-class-power of the Linux kernel. Its units are microvolts, microamperes and
microwatts; the sign of a battery's current is its driver's choice, so that the direction is taken from ``status``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

POWER_SUPPLY = "sys/class/power_supply"


class Supply(msgspec.Struct, frozen=True):
    """One supply; None is what it does not tell. ``current_a`` and ``power_w`` have the sign that the driver gives."""

    name: str
    kind: str
    status: str | None
    online: bool | None
    voltage_v: float | None
    current_a: float | None
    power_w: float | None
    capacity_pct: float | None

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
        return [_supply(place) for place in sorted(self._root.glob("*")) if _text(place / "scope") != "Device"]


def _supply(place: Path) -> Supply:
    online = _number(place / "online")
    return Supply(
        name=place.name,
        kind=_text(place / "type") or "",
        status=_text(place / "status"),
        online=None if online is None else bool(online),
        voltage_v=_number(place / "voltage_now", 1e6),
        current_a=_number(place / "current_now", 1e6),
        power_w=_number(place / "power_now", 1e6),
        capacity_pct=_number(place / "capacity"),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not told, gone, or no value at the moment: all the same
        return None


def _number(path: Path, per_unit: float = 1.0) -> float | None:
    text = _text(path)
    try:
        return int(text) / per_unit if text else None
    except ValueError:
        return None
