"""Power rails of a Jetson with L4T 32: the INA3221 driver of that kernel, in iio instead of hwmon."""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon import Absent
from benchlab.host.procfile import ProcFile

_FOLDERS = ("sys/bus/i2c/drivers/ina3221x/*/iio:device*", "sys/bus/i2c/drivers/ina3221x/*/iio_device")


class IioRails:
    """Reads every rail of every monitor; they are found anew when one is gone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, ProcFile] = {}

    def read(self) -> dict[str, float]:
        """Return watts by rail; empty where there is no such driver. Never raises."""
        if not self._files:
            self._files = self._find()
        found = {}
        for rail, file in tuple(self._files.items()):
            try:
                found[rail] = int(file.read()) / 1e3
            except ValueError:
                continue
            except Absent:
                self._files = {}
        return found

    def _find(self) -> dict[str, ProcFile]:
        files: dict[str, ProcFile] = {}
        for pattern in _FOLDERS:
            for name in sorted(self._root.glob(f"{pattern}/rail_name_*")):
                number = name.name.rpartition("_")[2]
                power = name.with_name(f"in_power{number}_input").relative_to(self._root)
                try:
                    rail = name.read_text(encoding="utf-8", errors="replace").strip()
                except OSError:
                    continue
                files.setdefault(rail, ProcFile(self._root, str(power)))
        return files
