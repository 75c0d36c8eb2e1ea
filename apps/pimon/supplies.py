"""Which supplies are batteries, and what they do. Only the standard library.

Source: Documentation/ABI/testing/sysfs-class-power of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchlab.host.power_supply import Supply
from pimon.snapshot import Battery

AUTO, NONE = "auto", "none"
CHARGING, DISCHARGING = "Charging", "Discharging"

_KINDS = ("Battery", "UPS")
_INPUTS = ("Mains", "USB", "Wireless")
_RESTING = ("Full", "Not charging")


def batteries_of(supplies: Sequence[Supply]) -> list[Supply]:
    """Return the batteries that are fitted."""
    return [each for each in supplies if each.kind in _KINDS and each.is_present]


def is_unplugged(supplies: Sequence[Supply]) -> bool:
    """Return whether no input feeds the machine, as far as there are inputs that tell."""
    online = [each.online for each in supplies if each.kind in _INPUTS and each.online is not None]
    return bool(online) and not any(online)


def battery_of(supply: Supply, unplugged: bool = False) -> Battery:
    """Return a battery of the kernel with the sign of what it does; ``unplugged`` if no input feeds the machine.

    Where the driver measures only one of power and current, the other follows from the voltage.
    """
    power_w, current_a, volts = supply.magnitude_w, supply.current_a, supply.voltage_v
    if power_w is None and supply.power_w == 0 and supply.status in _RESTING:
        power_w = 0.0
    if current_a is None and power_w is not None and volts:
        current_a = power_w / volts
    raw = supply.current_a or supply.power_w or 0.0
    sign = _sign(supply.status, raw, unplugged)
    return Battery(
        battery=supply.name,
        status=supply.status,
        voltage_v=volts,
        current_a=_signed(current_a, sign),
        power_w=_signed(power_w, sign),
        capacity_pct=supply.capacity_pct,
        current_raw_a=supply.current_a,
        power_raw_w=supply.power_w,
        energy_wh=supply.energy_wh,
        charge_ah=supply.charge_ah,
    )


def _sign(status: str | None, raw: float, unplugged: bool) -> float:
    if status == DISCHARGING:
        return -1.0
    if status == CHARGING:
        return 1.0
    return -1.0 if raw < 0 or unplugged else 1.0


def _signed(value: float | None, sign: float) -> float | None:
    return None if value is None else round(sign * abs(value), 6) + 0.0
