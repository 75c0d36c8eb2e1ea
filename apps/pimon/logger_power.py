"""The battery as the stand-alone logger reads it, from /sys/class/power_supply. Only the standard library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchlab.host.power_supply import PowerSupplies, Supply
from pimon.supplies import AUTO, NONE, batteries_of, battery_of, is_unplugged


@dataclass(frozen=True)
class Power:
    """A battery now: volts, amperes, watts, percent. What it does not tell is None; negative is discharging."""

    voltage: float | None = None
    current: float | None = None
    power: float | None = None
    battery_pct: float | None = None


class PowerSupply:
    """Reads one battery: by name, or ``auto``, the first of the machine; ``none`` reads nothing.

    ``say`` is told of a file that cannot be read, once each.
    """

    def __init__(self, which: str, root: Path = Path("/"), say: Callable[[str], None] = lambda text: None) -> None:
        self._which = which
        self._supplies = PowerSupplies(root)
        self._say = say
        self._told: set[str] = set()

    def read(self) -> Power:
        """Return what can be read now; nothing where there is no battery. Never raises OSError."""
        supplies = self._supplies.read() if self._which != NONE else []
        chosen = self._chosen(supplies)
        if chosen is None:
            return Power()
        self._tell(chosen.faults)
        battery = battery_of(chosen, is_unplugged(supplies))
        return Power(battery.voltage_v, battery.current_a, battery.power_w, battery.capacity_pct)

    def missing(self) -> str | None:
        """Return what was asked for and is not there, with what is; None if nothing is missing."""
        supplies = self._supplies.read()
        if self._which == NONE or self._chosen(supplies) is not None:
            return None
        asked = "of type Battery or UPS" if self._which == AUTO else self._which
        return f"no power supply {asked} (found: {', '.join(each.name for each in supplies) or 'none'})"

    def _chosen(self, supplies: list[Supply]) -> Supply | None:
        if self._which == NONE:
            return None
        if self._which != AUTO:
            return self._supplies.named(self._which)
        return next(iter(batteries_of(supplies)), None)

    def _tell(self, faults: tuple[str, ...]) -> None:
        for fault in faults:
            file = fault.partition(": ")[0]
            if file not in self._told:
                self._told.add(file)
                self._say(f"{fault}; it is left out while that is so")
