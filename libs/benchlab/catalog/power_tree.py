"""Which power meter contains which, declared once: sums run across a cut, so that no joule counts twice.

A meter is named ``source:key``, as in ``[mux].power_sources``. One contains another if joules that the other counts
pass through it too. That need not be all of them: a graphics card draws from its plugs and from its slot.
Scopes, from the outside in: wall or board input, rails behind the power supply, platform, package and GPU.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import combinations

BOARD = "benchlab.usb"

_CPU_RAILS = ("eps1", "eps2")
_BOARD_RAILS = ("atx3v", "atx5v", "atx5vsb", "atx12v")
_GPU_PLUGS = ("pcie1", "pcie2", "pcie3")
_GPU_WIRED = ("hpwr1", "hpwr2")
WIRES = {plug: tuple(f"{plug}_wire{wire}" for wire in range(1, 7)) for plug in _GPU_WIRED}
"""The wires of each 12V-2x6 plug of a BENCHLAB."""

RAIL_SUMS = {
    "cpu": _CPU_RAILS,
    "mb": _BOARD_RAILS,
    "gpu": _GPU_PLUGS + _GPU_WIRED,
    "sys": _CPU_RAILS + _BOARD_RAILS + _GPU_PLUGS + _GPU_WIRED,
}
"""Which rails each sum of a BENCHLAB consists of; ``sys`` is the whole board, behind the power supply."""

RAILS = (*RAIL_SUMS["sys"], *(wire for wires in WIRES.values() for wire in wires))
"""Rails of a BENCHLAB by index; the wires are parts of hpwr1 and hpwr2 and belong to no sum."""

BOARDS: dict[str, tuple[str, ...]] = {BOARD: RAILS}
"""The sources that measure rails, and which."""

_DRAWN_FROM = {
    "cpu.rapl:package_w": _CPU_RAILS,
    "cpu.rapl:dram_w": ("atx3v", "atx5v", "atx12v"),
    "gpu.nvml:power_w": (
        "atx3v",
        "atx12v",
        *_GPU_PLUGS,
        *_GPU_WIRED,
        *(wire for wires in WIRES.values() for wire in wires),
    ),
}
"""The rails that a consumer with a meter of its own draws from, or may."""


class PowerTree:
    """Meters, and the meters directly within each; one may lie within several. Names may hold ``*`` as source."""

    def __init__(self, parts: Mapping[str, Iterable[str]]) -> None:
        self._parts = {whole: frozenset(within) for whole, within in parts.items()}
        self.meters = frozenset(self._parts).union(*self._parts.values())
        """Every meter that has a place in the tree."""

    def contains(self, whole: str, part: str) -> bool:
        """Return whether joules of ``part`` are in ``whole`` too. A meter without a place contains itself only."""
        return any(_same(name, part) for name in (whole, *self._within(whole)))

    def clash(self, meters: Iterable[str]) -> tuple[str, str] | None:
        """Return two meters of which the first contains the second, None if all of them together are a cut."""
        for a, b in combinations(meters, 2):
            if self.contains(a, b):
                return a, b
            if self.contains(b, a):
                return b, a
        return None

    def outermost(self, meters: Iterable[str]) -> list[str]:
        """Return the meters that no other of them contains, each once: a cut."""
        given = list(dict.fromkeys(meters))
        return [one for one in given if not any(self.contains(other, one) for other in given if other != one)]

    def _within(self, whole: str) -> set[str]:
        found: set[str] = set()
        ahead = [whole]
        while ahead:
            name = ahead.pop()
            new = {part for known, parts in self._parts.items() if _same(known, name) for part in parts} - found
            found |= new
            ahead += new
        return found


def _same(a: str, b: str) -> bool:
    """Return whether two names may mean one meter."""
    return a == b or fnmatchcase(a, b) or fnmatchcase(b, a)


def _declared() -> dict[str, list[str]]:
    parts = {
        "edge.*:power_total_watts": ["cpu.rapl:psys_w"],
        "cpu.rapl:psys_w": ["cpu.rapl:package_w", "cpu.rapl:dram_w", "gpu.nvml:power_w"],
        "cpu.rapl:package_w": ["cpu.rapl:core_w", "cpu.rapl:uncore_w"],
    }
    for source, rails in BOARDS.items():
        parts["edge.*:power_total_watts"].append(f"{source}:p_sys")
        parts.update(_of_board(source, rails))
    return parts


def _of_board(source: str, rails: Collection[str]) -> dict[str, list[str]]:
    """Return what the meters of a board contain, of each other and of what draws from them."""
    parts = {f"{source}:p_sys": [*(f"{source}:{name}_w" for name in ("cpu", "mb", "gpu")), "cpu.rapl:psys_w"]}
    within = {name: RAIL_SUMS[name] for name in ("cpu", "mb", "gpu")} | WIRES
    for whole, names in within.items():
        parts[f"{source}:{whole}_w"] = [f"{source}:{rail}_w" for rail in names if rail in rails]
    for meter, feeds in _DRAWN_FROM.items():
        for rail in feeds:
            if rail in rails:
                parts.setdefault(f"{source}:{rail}_w", []).append(meter)
    return parts


METERS = PowerTree(_declared())
"""The power meters of this project. What has no place in it, such as a sensor of hwmon, belongs to no sum."""

ALONE = ("cpu.rapl:psys_w",)
"""Meters whose maker decides what they cover: they are added to nothing."""


def double_count(meters: Iterable[str]) -> str | None:
    """Return why these meters must not be added up, None if they may be."""
    given = list(meters)
    if (clash := METERS.clash(given)) is not None:
        whole, part = clash
        return f"{whole} twice" if whole == part else f"{whole} contains {part}"
    alone = [meter for meter in given if len(given) > 1 and any(_same(meter, name) for name in ALONE)]
    return f"what {alone[0]} covers is not known" if alone else None
