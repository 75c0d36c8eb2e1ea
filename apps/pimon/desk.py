"""What stands on the desk around a small machine: its USB devices, its screen, and how its clock is governed."""

from __future__ import annotations

import os
from pathlib import Path

_USB = "sys/bus/usb/devices"
_GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
_BACKLIGHT = "sys/class/backlight"


class Desk:
    """Reads them under ``root``; each is None where there is none."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def usb_devices(self) -> int | None:
        """Return how many USB devices there are, root hubs included, as ``lsusb`` lists them."""
        try:
            names = os.listdir(self._root / _USB)  # noqa: PTH208  # names are all that is wanted
        except OSError:
            return None
        return sum(":" not in name for name in names)  # with a colon it is an interface of a device

    def governor(self) -> str | None:
        """Return the governor of the first core, which on small machines is that of all."""
        return _text(self._root / _GOVERNOR)

    def brightness_pct(self) -> float | None:
        """Return how bright the first screen with a backlight is."""
        for place in sorted((self._root / _BACKLIGHT).glob("*")):
            now, most = _text(place / "brightness"), _text(place / "max_brightness")
            if now and most and now.isdecimal() and most.isdecimal() and int(most):
                return round(100.0 * int(now) / int(most), 1)
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
