"""The zones of the powercap tree, and which of them may be added up.

Source: Documentation/power/powercap/powercap.rst and drivers/powercap/intel_rapl_common.c of the Linux kernel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from benchlab.catalog.power_tree import PowerTree

POWERCAP = "sys/class/powercap"
PACKAGE = "package"
KINDS = (PACKAGE, "core", "uncore", "dram", "psys")
"""What a zone measures, by the beginning of its name; of others no total is known."""

MOST_W = 2000.0
"""Power that no zone draws: above it a counter was reset, not moved."""

_ZONE = re.compile(r"intel-rapl[a-z-]*(:\d+)+")  # AMD's zones are called so too; dtpm and others are no RAPL
_CONSTRAINTS = range(3)
_BURST = 3.0  # for a short time a package may draw more than the power it is rated for
_AMD = ("AuthenticAMD", "HygonGenuine")
_HEAD_B = 4096


class Zone(msgspec.Struct, frozen=True):
    """One zone: ``path`` is its place in the tree (``intel-rapl:0:1``), ``parent`` the path of the zone around it.

    ``energy_range_uj`` is where its counter wraps, 0 where that is not told, ``limit_w`` the most it may draw.
    """

    path: str
    name: str
    parent: str | None
    energy_range_uj: int
    limit_w: float
    has_limits: bool

    @property
    def kind(self) -> str:
        """What it measures: one of KINDS, or another word of its name."""
        return self.name.partition("-")[0]


def zone_paths(root: Path) -> list[str]:
    """Return the places of all zones, a zone before those within it; none where there is no powercap."""
    try:
        names = os.listdir(root / POWERCAP)  # noqa: PTH208  # asked for again and again: no Path for each
    except OSError:
        return []
    return sorted((name for name in names if _ZONE.fullmatch(name)), key=_order)


def find_zones(root: Path) -> list[Zone]:
    """Return the zones, but for those that show a counter again which another interface shows too."""
    zones = {path: zone for path in zone_paths(root) if (zone := _zone(root, path)) is not None}
    known: dict[tuple[str, ...], str] = {}
    for path in zones:
        known.setdefault(_full_name(zones, path), path)
    # paths of intel-rapl come before those of intel-rapl-mmio, so it is these that go
    doubles = {path for path in zones if not _same_interface(known[_full_name(zones, path)], path)}
    return [zone for path, zone in zones.items() if path not in doubles]


def members(zones: Iterable[Zone], vendor: str | None) -> dict[str, list[Zone]]:
    """Return which zones each total consists of, by kind: those of the kind, and a cut of the tree.

    A kind is left out where its sum would mean something else: AMD's ``core`` is the counter of a single core, memory
    may be inside the package, and what several platform zones cover is not told.
    """
    by_path = {zone.path: zone for zone in zones}
    tree = PowerTree({path: [z.path for z in by_path.values() if z.parent == path] for path in by_path})
    found: dict[str, list[Zone]] = {}
    for kind in KINDS:
        alike = [zone.path for zone in by_path.values() if zone.kind == kind]
        cut = [by_path[path] for path in tree.outermost(alike)]
        if cut and _adds_up(kind, cut, list(by_path.values()), vendor):
            found[kind] = cut
    return found


def vendor_of(root: Path) -> str | None:
    """Return the vendor of the processor as CPUID names it, None where /proc does not say."""
    try:
        with (root / "proc/cpuinfo").open("rb") as file:
            head = file.read(_HEAD_B).decode("ascii", "replace")
    except OSError:
        return None
    found = re.search(r"^vendor_id\s*:\s*(\S+)", head, re.MULTILINE)
    return found[1] if found else None


def _adds_up(kind: str, cut: list[Zone], zones: list[Zone], vendor: str | None) -> bool:
    packages = [zone for zone in zones if zone.kind == PACKAGE]
    if kind == "core":
        # the kernel offers no limits on AMD
        return vendor not in _AMD if vendor else any(zone.has_limits for zone in packages)
    if kind == "dram":
        # servers have memory beside the package; a single package with cores of its own may be a desktop's
        return len(packages) > 1 or not any(zone.kind in ("core", "uncore") for zone in zones)
    return kind != "psys" or len(cut) == 1


def _zone(root: Path, path: str) -> Zone | None:
    folder = root / POWERCAP / path
    try:
        name = (folder / "name").read_text("ascii", "backslashreplace").strip()
    except OSError:
        return None  # it went while we looked
    rated_uw = [_number(folder / f"constraint_{n}_max_power_uw") for n in _CONSTRAINTS]
    return Zone(
        path,
        name,
        path.rpartition(":")[0] if path.count(":") > 1 else None,
        _number(folder / "max_energy_range_uj"),
        _BURST * max(rated_uw) / 1e6 or MOST_W,
        (folder / "constraint_0_name").exists(),
    )


def _number(path: Path) -> int:
    try:
        return max(0, int(path.read_bytes()))
    except (OSError, ValueError):
        return 0


def _order(path: str) -> tuple[str, list[int]]:
    interface, *numbers = path.split(":")
    return interface, [int(number) for number in numbers]


def _same_interface(a: str, b: str) -> bool:
    return a.partition(":")[0] == b.partition(":")[0]


def _full_name(zones: Mapping[str, Zone], path: str) -> tuple[str, ...]:
    """Return the names of a zone and of those around it, outermost first."""
    names: list[str] = []
    at: str | None = path
    while at is not None and at in zones:
        names.insert(0, zones[at].name)
        at = zones[at].parent
    return tuple(names)
