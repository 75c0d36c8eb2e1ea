"""The battery: one that the kernel knows, or an INA219 or INA260 in the line of one that it does not know."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchlab.chips import ina219, ina260
from benchlab.chips.i2c import Bus, no_bus, open_bus
from benchlab.daemon import Absent, Transient
from benchlab.host.power_supply import POWER_SUPPLY, PowerSupplies, Supply
from pimon.snapshot import Battery, BatterySample
from pimon.supplies import AUTO, CHARGING, DISCHARGING, batteries_of, battery_of, is_unplugged

EXPECTED = "auto, none, the name of a folder in /sys/class/power_supply, or ina219[@BUS[:ADDRESS]], ina260[...]"
SETTING = "the address in --power-supply, as in ina219@1:0x40"

_NAME = re.compile(r"[^/\s]{1,64}")
_METER = re.compile(r"(ina219|ina260)(?:@(\d{1,3})(?::(0x[0-9a-fA-F]{1,2}))?)?")


@dataclass(frozen=True)
class Meter:
    """A chip in a battery's line: ``is_reversed`` where its current is positive while the battery is discharged."""

    chip: str
    bus: int = 1
    address: int = 0x40
    shunt_ohms: float = ina219.SHUNT_OHMS
    is_reversed: bool = False


def meter_of(text: str, shunt_ohms: float, is_reversed: bool) -> Meter | None:
    """Return the meter that a choice of power supply names, None if it names another supply. Raises ValueError."""
    found = _METER.fullmatch(text)
    if found is None:
        if not _NAME.fullmatch(text) or text in (".", "..") or text.startswith(("ina219@", "ina260@")):
            raise ValueError(f"found {text!r}, expected {EXPECTED}")
        return None
    bus, address = int(found[2] or 1), int(found[3] or "0x40", 16)
    if bus > 255 or address not in ina219.ADDRESSES:
        raise ValueError(f"found {text!r}, expected a bus up to 255 and an address from 0x40 to 0x4f")
    return Meter(found[1], bus, address, shunt_ohms, is_reversed)


class SupplyBattery:
    """The batteries that the kernel knows: those of the machine itself, or the one of this name."""

    def __init__(self, root: Path, which: str = AUTO) -> None:
        self._folder = root / POWER_SUPPLY
        self._supplies = PowerSupplies(root)
        self._which = which

    def read(self) -> BatterySample:
        """Return the battery now. Raises Absent: there is none; Transient: it does not tell anything."""
        supplies = self._supplies.read()
        chosen = self._chosen(supplies)
        unplugged = is_unplugged(supplies)
        batteries = tuple(battery_of(supply, unplugged) for supply in chosen)
        faults = "; ".join(fault for supply in chosen for fault in supply.faults)
        if all(each.power_w is None and each.voltage_v is None and each.capacity_pct is None for each in batteries):
            names = ", ".join(supply.name for supply in chosen)
            raise Transient(faults or f"{self._folder}: {names} tells neither voltage, power nor capacity")
        return replace(together(batteries, chosen), why=faults or None)

    def _chosen(self, supplies: Sequence[Supply]) -> list[Supply]:
        if self._which == AUTO:
            chosen = batteries_of(supplies)
            expected = "one of type Battery or UPS"
        else:
            chosen = [each for each in supplies if each.name == self._which and each.is_present]
            expected = self._which
        if not chosen:
            found = ", ".join(f"{each.name} ({each.kind or 'no type'})" for each in supplies) or "no supply"
            fix = "--power-supply NAME takes another, --power-supply none asks for none"
            raise Absent(f"{self._folder}: found {found}, expected {expected}", fix)
        return chosen


class MeterBattery:
    """A battery behind an INA219 or INA260 on I2C."""

    def __init__(self, meter: Meter, opened: Callable[[int], Bus] = open_bus) -> None:
        self._meter = meter
        self._open_bus = opened
        self._bus: Bus | None = None
        self._chip: ina219.Ina219 | ina260.Ina260 | None = None

    def read(self) -> BatterySample:
        """Return what the chip measures now. Raises Absent or Transient; then the bus is opened anew next time."""
        try:
            found = self._opened().read()
        except (Absent, Transient):
            self._close()
            raise
        sign = -1.0 if self._meter.is_reversed else 1.0
        current_a = round(sign * found.current_a, 6)
        battery = Battery(
            battery=f"{self._meter.chip}@{self._meter.bus}:0x{self._meter.address:02x}",
            status=DISCHARGING if current_a < 0 else CHARGING if current_a > 0 else None,
            voltage_v=round(found.voltage_v, 6),
            current_a=current_a,
            power_w=round(sign * found.power_w, 6),
            current_raw_a=round(found.current_a, 6),
            power_raw_w=round(found.power_w, 6),
        )
        return together((battery,), ())

    def _opened(self) -> ina219.Ina219 | ina260.Ina260:
        if self._chip is None:
            meter = self._meter
            try:
                self._bus = bus = self._open_bus(meter.bus)
            except OSError as error:
                raise no_bus(error, f"/dev/i2c-{meter.bus}") from None
            if meter.chip == "ina260":
                self._chip = ina260.Ina260(bus, meter.address, SETTING)
            else:
                self._chip = ina219.Ina219(bus, meter.address, meter.shunt_ohms, SETTING)
        return self._chip

    def _close(self) -> None:
        bus, self._bus, self._chip = self._bus, None, None
        close = getattr(bus, "close", None)
        if close is not None:
            close()


def together(batteries: tuple[Battery, ...], supplies: Sequence[Supply]) -> BatterySample:
    """Return what is true of batteries together; ``supplies`` are theirs, in the same order."""
    if len(batteries) == 1:
        one = batteries[0]
        return BatterySample(one.status, one.voltage_v, one.current_a, one.power_w, one.capacity_pct, None, batteries)
    powers = [each.power_w for each in batteries]
    known = [watts for watts in powers if watts is not None]
    states = {each.status for each in batteries if each.status}
    status = next((state for state in (DISCHARGING, CHARGING) if state in states), None)
    return BatterySample(
        status=status or (states.pop() if len(states) == 1 else None),
        power_w=round(sum(known), 6) if len(known) == len(powers) else None,
        capacity_pct=_capacity(batteries, supplies),
        batteries=batteries,
    )


def _capacity(batteries: Sequence[Battery], supplies: Sequence[Supply]) -> float | None:
    shares = [each.capacity_pct for each in batteries]
    if any(share is None for share in shares):
        return None
    sizes = [supply.energy_full_wh for supply in supplies]
    if not all(sizes):
        sizes = [supply.charge_full_ah for supply in supplies]
    weights = [size or 0.0 for size in sizes] if all(sizes) else [1.0] * len(shares)
    weighed = sum((share or 0.0) * weight for share, weight in zip(shares, weights, strict=True))
    return round(weighed / sum(weights), 2)
