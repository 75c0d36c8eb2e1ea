"""Temperatures of the kernel's thermal zones, from /sys/class/thermal.

Source: Documentation/driver-api/thermal/sysfs-api.rst of the Linux kernel. Its unit is millidegrees.
"""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon.source import Transient
from benchlab.host.procfile import ProcFile

THERMAL = "sys/class/thermal"

_OFF = -256_000
"""What a sensor says whose part of the chip is switched off."""


class ThermalZones:
    """Reads the zones under ``root``; they are known by their type, for their numbers change."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._files: dict[str, ProcFile] | None = None

    def read(self) -> dict[str, float]:
        """Return °C by type of zone; of several of one type the later ones bear a number. Never raises.

        A zone without a value at the moment is left out; where there is none, the result is empty.
        """
        if not self._files:
            self._files = _find(self._root)
        found: dict[str, float] = {}
        for zone, file in self._files.items():
            try:
                value = file.number()
            except FileNotFoundError:
                self._files = None  # looked for again next time
                break
            except (PermissionError, Transient):
                continue
            if value is not None and value > _OFF:
                found[zone] = value / 1e3
        return found


def _find(root: Path) -> dict[str, ProcFile]:
    folder = root / THERMAL
    files: dict[str, ProcFile] = {}
    for place in sorted(folder.glob("thermal_zone*"), key=lambda path: (len(path.name), path.name)):
        try:
            kind = (place / "type").read_text(encoding="utf-8", errors="replace").strip() or place.name
        except OSError:
            continue
        known = sum(name == kind or name.startswith(f"{kind} ") for name in files)
        files[f"{kind} {known + 1}" if known else kind] = ProcFile(root, f"{THERMAL}/{place.name}/temp")
    return files
