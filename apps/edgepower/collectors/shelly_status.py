"""What a Shelly says of its meters, any generation: JSON in, channels out.

Gen1 ``/status``: ``meters`` count watt-minutes, ``emeters`` watt-hours. Gen2 and later ``Shelly.GetStatus``: totals in
watt-hours; the milliwatt-hours of the last minutes are not read. Source: Shelly's API documentation, logs of owners.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

J_PER_WH = 3600.0
J_PER_WMIN = 60.0

_SWITCHED = ("switch", "pm1", "light", "cover")
_PHASES = "abc"


@dataclass(frozen=True)
class Channel:
    """One meter. ``power_w`` is None where ``why`` says so; the rest is None where it is not told.

    ``kind`` says whether channels add up: a ``load`` is behind the device, a ``phase`` one of three of one line; a
    ``clamp`` may be around any wire, and so around one that another clamp has too.
    ``energy_j`` is what was drawn and ``returned_j`` what was fed back, by the device's own registers, which may begin
    anew; ``energy_is_both`` is true where the first of them counts both directions.
    """

    name: str
    kind: Literal["load", "phase", "clamp"]
    power_w: float | None = None
    why: str = ""
    voltage_v: float | None = None
    current_a: float | None = None
    power_factor: float | None = None
    frequency_hz: float | None = None
    energy_j: float | None = None
    returned_j: float | None = None
    energy_is_both: bool = False


@dataclass(frozen=True)
class Status:
    """All meters of a device, its MAC as it says itself, and its own temperature."""

    channels: tuple[Channel, ...]
    mac: str | None = None
    temp_c: float | None = None


def gen1_status(status: Mapping[str, Any], model: str) -> Status:
    """Return the meters of a Gen1 device; ``model`` is the ``type`` of ``/shelly``."""
    channels = [_gen1_meter(number, meter) for number, meter in _items(status, "meters")]
    kind: Literal["phase", "clamp"] = "phase" if model.startswith("SHEM-3") else "clamp"
    channels += [_gen1_emeter(number, meter, kind) for number, meter in _items(status, "emeters")]
    sensor = _map(status.get("tmp"))
    temp_c = _number(sensor, "tC") if sensor.get("is_valid", True) else None
    return Status(tuple(channels), _text(status, "mac"), temp_c)


def gen2_status(status: Mapping[str, Any]) -> Status:
    """Return the meters of a device of Gen2 or later."""
    channels = []
    temp_c = None
    for key in sorted(status):
        name, _, number = key.partition(":")
        component = _map(status[key])
        if name in _SWITCHED and number:
            temp_c = _number(_map(component.get("temperature")), "tC") if temp_c is None else temp_c
            if "apower" in component:
                channels.append(_gen2_load(key, component))
        elif name == "em1" and number:
            channels.append(_gen2_clamp(key, component, _map(status.get(f"em1data:{number}"))))
        elif name == "em" and number:
            channels += _gen2_phases(key, component, _map(status.get(f"emdata:{number}")))
    return Status(tuple(channels), _text(_map(status.get("sys")), "mac"), temp_c)


def _gen1_meter(number: int, meter: Mapping[str, Any]) -> Channel:
    name = f"meter {number}"
    total = _number(meter, "total")
    if total is None:
        return Channel(name, "load", why="its power is a constant that somebody typed in: there is no meter")
    power_w, why = _valid(meter, "power")
    energy_j = total * J_PER_WMIN
    return Channel(name, "load", power_w, why, voltage_v=_number(meter, "voltage"), energy_j=energy_j)


def _gen1_emeter(number: int, meter: Mapping[str, Any], kind: Literal["phase", "clamp"]) -> Channel:
    power_w, why = _valid(meter, "power")
    return Channel(
        f"emeter {number}",
        kind,
        power_w,
        why,
        voltage_v=_number(meter, "voltage"),
        current_a=_number(meter, "current"),
        power_factor=_number(meter, "pf"),
        energy_j=_scaled(meter, "total"),
        returned_j=_scaled(meter, "total_returned"),
    )


def _gen2_load(key: str, component: Mapping[str, Any]) -> Channel:
    power_w, why = _valid(component, "apower")
    energy_j = _scaled(_map(component.get("aenergy")), "total")
    returned_j = _scaled(_map(component.get("ret_aenergy")), "total")
    counts_both = "ret_aenergy" in component
    return Channel(
        key,
        "load",
        power_w,
        why,
        **_electrical(component),
        energy_j=None if counts_both and returned_j is None else energy_j,
        returned_j=returned_j,
        energy_is_both=counts_both,
    )


def _gen2_clamp(key: str, component: Mapping[str, Any], data: Mapping[str, Any]) -> Channel:
    power_w, why = _valid(component, "act_power")
    energy_j, returned_j = _scaled(data, "total_act_energy"), _scaled(data, "total_act_ret_energy")
    electrical = _electrical(component)
    return Channel(key, "clamp", power_w, why, **electrical, energy_j=energy_j, returned_j=returned_j)


def _gen2_phases(key: str, component: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Channel]:
    for phase in _PHASES:
        prefix = f"{phase}_"
        of_phase = {name.removeprefix(prefix): each for name, each in component.items() if name.startswith(prefix)}
        power_w, why = _valid({**of_phase, "errors": of_phase.get("errors")}, "act_power")
        yield Channel(
            f"{key} {phase}",
            "phase",
            power_w,
            why,
            **_electrical(of_phase),
            energy_j=_scaled(data, f"{prefix}total_act_energy"),
            returned_j=_scaled(data, f"{prefix}total_act_ret_energy"),
        )


def _electrical(component: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "voltage_v": _number(component, "voltage"),
        "current_a": _number(component, "current"),
        "power_factor": _number(component, "pf"),
        "frequency_hz": _number(component, "freq"),
    }


def _valid(meter: Mapping[str, Any], key: str) -> tuple[float | None, str]:
    """Return a power and, where there is none, why."""
    errors = meter.get("errors")
    if meter.get("is_valid", True) is not True:
        return None, "the device says that its reading is not valid"
    if isinstance(errors, list) and "power_meter_failure" in errors:
        return None, "the device says that its power meter has failed"
    power_w = _number(meter, key)
    return power_w, "" if power_w is not None else f"found {meter.get(key)!r} as {key}, expected a number"


def _scaled(meter: Mapping[str, Any], key: str) -> float | None:
    watt_hours = _number(meter, key)
    return None if watt_hours is None else watt_hours * J_PER_WH


def _items(status: Mapping[str, Any], key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    found = status.get(key)
    if isinstance(found, list):
        yield from ((number, _map(each)) for number, each in enumerate(found))


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(found: Mapping[str, Any], key: str) -> str | None:
    value = found.get(key)
    return value if isinstance(value, str) else None


def _number(found: Mapping[str, Any], key: str) -> float | None:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
