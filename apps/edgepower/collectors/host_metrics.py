"""What every Linux board tells of itself: temperatures, use of processor and memory, clocks of its devices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from benchlab.daemon import Absent, Transient
from benchlab.host.cpu import CpuUsage
from benchlab.host.identity import device_tree
from benchlab.host.memory import MemoryInfo
from benchlab.host.procfile import ProcFile
from benchlab.host.thermal import ThermalZones
from edgepower.collectors.base import metric_part

MIB = 1 << 20


class HostMetrics:
    """Metrics of the board under ``root``; their names begin with ``prefix``. Nothing it does raises.

    ``no_zones`` are thermal zones that measure nothing, by their part of a metric's name.
    """

    def __init__(self, prefix: str, root: Path, no_zones: Collection[str] = ()) -> None:
        self._prefix = prefix
        self._no_zones = no_zones
        self._zones = ThermalZones(root)
        self._usage = CpuUsage(root)
        self._memory = MemoryInfo(root)

    def read(self) -> dict[str, float]:
        """Return what is known now; use of the processor is that since the last call."""
        return {f"{self._prefix}_{key}": round(value, 3) for key, value in self._all().items()}

    def _all(self) -> dict[str, float]:
        zones = {zone_part(zone): value for zone, value in self._zones.read().items()}
        found = {f"temp_{part}_celsius": value for part, value in zones.items() if part not in self._no_zones}
        for part in (self._processor, self._ram):
            try:
                found.update(part())
            except (Absent, Transient):
                continue
        return found

    def _processor(self) -> dict[str, float]:
        usage = self._usage.read()
        found = {f"cpu_core{number}_usage_percent": share for number, share in usage.cores.items()}
        if usage.total is not None:
            found["cpu_avg_usage_percent"] = usage.total
        return found

    def _ram(self) -> dict[str, float]:
        memory = self._memory.read()
        if memory.used_b is None:
            return {}
        percent = 100.0 * memory.used_b / memory.total_b
        total_mb, used_mb = memory.total_b / MIB, memory.used_b / MIB
        return {"ram_total_mb": total_mb, "ram_used_mb": used_mb, "ram_used_percent": percent}


def zone_part(zone: str) -> str:
    """Return the name of a thermal zone as a part of a metric's name: ``cpu`` of ``cpu-thermal`` or ``CPU-therm``."""
    part = metric_part(zone)
    return part.removesuffix("_thermal").removesuffix("_therm") or part


class DevfreqMetrics:
    """Clock and load of the devices in /sys/class/devfreq, by a word that the device's name contains."""

    def __init__(self, prefix: str, root: Path, words: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._root = root
        self._words = words
        self._files: dict[str, tuple[ProcFile, ProcFile]] | None = None

    def read(self) -> dict[str, float]:
        """Return MHz and percent by device; what a kernel does not tell is left out. Never raises."""
        if not self._files:
            self._files = self._find()
        found: dict[str, float] = {}
        for part, (clock, load) in self._files.items():
            try:
                found[f"{self._prefix}_{part}_freq_mhz"] = int(clock.read()) / 1e6
                percent = load.read().partition(b"@")[0]  # 94@800000000Hz
                found[f"{self._prefix}_{part}_usage_percent"] = float(int(percent))
            except (Absent, ValueError):
                continue
        return found

    def _find(self) -> dict[str, tuple[ProcFile, ProcFile]]:
        folder = "sys/class/devfreq"
        files = {}
        for place in sorted((self._root / folder).glob("*")):
            part = next((part for word, part in self._words.items() if word in place.name), None)
            if part is not None and part not in files:
                paths = (f"{folder}/{place.name}/{name}" for name in ("cur_freq", "load"))
                clock, load = (ProcFile(self._root, path) for path in paths)
                files[part] = (clock, load)
        return files


def board_model(root: Path) -> dict[str, str]:
    """Return the board's name as its device tree has it, for ``identity``."""
    model = device_tree(root, "model")
    return {"model": model} if model else {}
