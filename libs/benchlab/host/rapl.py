"""Energy and power of the processor, from the powercap tree (RAPL).

Zones overlap: the platform contains the packages, a package its cores and its graphics part. A total is the sum of
zones of one kind, none within another, each counter once. Source: Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from benchlab.daemon.source import Absent, Transient
from benchlab.host.procfile import ProcFile
from benchlab.host.rapl_meter import NS, Meter, Mirrors
from benchlab.host.rapl_zones import PACKAGE, POWERCAP, Zone, find_zones, members, vendor_of, zone_paths
from benchlab.product import shipped

RESCAN_NS = 5 * NS
PERMISSION_FIX = (
    f"install {shipped('udev/optional/70-benchlab-rapl.rules')} and join the group benchlab (the file says how), "
    "or set [cpu].enable_rapl = false"
)
MISSING_FIX = "modprobe intel_rapl_msr; most virtual machines have no such counters"
STILL_FIX = "a virtual machine whose host does not pass the counters on: measure on the host instead"


class Power(msgspec.Struct, frozen=True):
    """Joules since the reader began, and mean watts since the reading before; None what is not known."""

    energy_j: float | None
    power_w: float | None


class ZoneReading(msgspec.Struct, frozen=True):
    """One zone, and whether the total of its kind includes it."""

    zone: Zone
    power: Power
    counted: bool


class RaplReading(msgspec.Struct, frozen=True):
    """All zones at one time, in ns of the given clock, give or take ``unc_ns``; totals by kind."""

    ts_ns: int
    unc_ns: int
    zones: list[ZoneReading]
    totals: dict[str, Power]


class Rapl:
    """Reads the zones under ``root``. ``now_ns`` is a clock that goes on while the machine sleeps."""

    def __init__(self, now_ns: Callable[[], int], root: Path = Path("/")) -> None:
        self._now_ns = now_ns
        self._root = root
        self._meters: dict[str, Meter] = {}
        self._files: dict[str, ProcFile] = {}
        self._paths: list[str] = []
        self._members: dict[str, list[Zone]] = {}
        self._packages: dict[str, Meter] = {}
        self._counted: dict[str, list[Meter]] = {}
        self._mirrors = Mirrors()
        self._mirrored: set[str] = set()
        self._totals_uj: dict[str, int] = {}
        self._rescan_ns = 0

    def read(self) -> RaplReading:
        """Return what the counters say now.

        Raises Absent: no zone, no permission, or counters that stand still. Raises Transient where joules were missed:
        a counter was reset or not read for too long, or zones came or went. What is counted goes on after it.
        """
        self._scan_if_due()
        begin_ns = self._now_ns()
        missed = self._take_all()
        end_ns = self._now_ns()
        mirrored = self._mirrors.update(self._packages)
        if mirrored != self._mirrored:
            self._choose(mirrored)
        self._add_up()
        if missed:
            raise missed[0]
        self._check()
        powers = {path: _power(meter) for path, meter in self._meters.items()}
        counted = {meter.zone.path for meters in self._counted.values() for meter in meters}
        zones = [ZoneReading(meter.zone, powers[path], path in counted) for path, meter in self._meters.items()]
        totals = {kind: self._total(kind, powers) for kind in self._counted}
        return RaplReading((begin_ns + end_ns) // 2, (end_ns - begin_ns + 1) // 2, zones, totals)

    def _check(self) -> None:
        """Raise Absent if what was read is no measurement."""
        if not any(meter.is_read for meter in self._meters.values()):
            raise Absent(f"no energy counter in {self._root / POWERCAP} could be read", MISSING_FIX)
        if self._packages and all(meter.is_still for meter in self._packages.values()):
            names = ", ".join(f"{meter.zone.name} at {meter.raw_uj} uJ" for meter in self._packages.values())
            raise Absent(f"not supported: the energy counter stands still ({names})", STILL_FIX)

    def _scan_if_due(self) -> None:
        now_ns = self._now_ns()
        if self._paths and now_ns < self._rescan_ns:
            return
        self._rescan_ns = now_ns + RESCAN_NS
        paths = zone_paths(self._root)
        if paths == self._paths and paths:
            return
        before = self._paths
        self._scan(paths)
        if not self._meters:
            raise Absent(f"no RAPL zone in {self._root / POWERCAP}", MISSING_FIX)
        if before:
            changed = ", ".join(sorted(set(paths) ^ set(before)))
            raise Transient(f"RAPL zones came or went ({changed}): counted anew from here")

    def _scan(self, paths: list[str]) -> None:
        """Take the zones as they are now; a meter whose zone is still the same goes on."""
        known = {meter.zone: meter for meter in self._meters.values()}
        zones = find_zones(self._root)
        for path, file in self._files.items():
            if path not in paths:
                file.close()
        self._paths = paths
        self._meters = {zone.path: known.get(zone) or Meter(zone) for zone in zones}
        self._files = {z.path: self._files.get(z.path) or self._file(z.path) for z in zones}
        self._members = members(zones, vendor_of(self._root))
        self._packages = {zone.path: self._meters[zone.path] for zone in self._members.get(PACKAGE, [])}
        self._choose(self._mirrored)

    def _choose(self, mirrored: set[str]) -> None:
        """Choose the meters that each total is made of; a mirror is in none."""
        self._mirrored = mirrored
        self._counted = {
            kind: [self._meters[zone.path] for zone in zones if zone.path not in mirrored]
            for kind, zones in self._members.items()
        }

    def _file(self, path: str) -> ProcFile:
        return ProcFile(self._root, f"{POWERCAP}/{path}/energy_uj")

    def _take_all(self) -> list[Transient]:
        """Read every counter, and return what was missed."""
        missed: list[Transient] = []
        for path, meter in self._meters.items():
            try:
                raw_uj = self._files[path].number()
                if raw_uj is None:
                    meter.skip()
                else:
                    meter.take(raw_uj, self._now_ns())
            except PermissionError:
                raise Absent(f"{self._files[path].path}: permission denied", PERMISSION_FIX) from None
            except FileNotFoundError:
                self._rescan_ns = 0
                meter.skip()
            except Transient as error:
                meter.skip()
                missed.append(error)
        return missed

    def _add_up(self) -> None:
        for kind, meters in self._counted.items():
            step_uj = sum([meter.step_uj for meter in meters])
            self._totals_uj[kind] = self._totals_uj.get(kind, 0) + step_uj

    def _total(self, kind: str, powers: Mapping[str, Power]) -> Power:
        """Return a total; a part that is not known leaves it unknown."""
        parts = [powers[meter.zone.path] for meter in self._counted[kind]]
        watts = [part.power_w for part in parts if part.power_w is not None]
        is_complete = all(part.energy_j is not None for part in parts)
        return Power(
            self._totals_uj[kind] / 1e6 if is_complete else None,
            sum(watts) if len(watts) == len(parts) else None,
        )


def _power(meter: Meter) -> Power:
    return Power(meter.energy_uj / 1e6, meter.power_w) if meter.is_read and not meter.is_still else Power(None, None)
