from __future__ import annotations

from pathlib import Path

import pytest

from benchlab.host.power_supply import PowerSupplies, Supply
from support.edge_fixtures import plant

BATTERY = {
    "sys/class/power_supply/BAT0/type": "Battery\n",
    "sys/class/power_supply/BAT0/status": "Discharging\n",
    "sys/class/power_supply/BAT0/voltage_now": "12000000\n",
    "sys/class/power_supply/BAT0/current_now": "-1500000\n",
    "sys/class/power_supply/BAT0/capacity": "83\n",
    "sys/class/power_supply/hidpp_battery_0/type": "Battery\n",
    "sys/class/power_supply/hidpp_battery_0/scope": "Device\n",
    "sys/class/power_supply/AC/type": "Mains\n",
    "sys/class/power_supply/AC/online": "0\n",
}


def read(root: Path) -> dict[str, Supply]:
    return {supply.name: supply for supply in PowerSupplies(root).read()}


def test_supplies_of_the_machine_in_base_units(tmp_path: Path) -> None:
    found = read(plant(tmp_path, BATTERY))
    assert set(found) == {"AC", "BAT0"}
    battery = found["BAT0"]
    assert (battery.voltage_v, battery.current_a, battery.capacity_pct) == (12.0, -1.5, 83.0)
    assert (battery.is_discharging, battery.magnitude_w, battery.online) == (True, 18.0, None)
    assert (found["AC"].online, found["AC"].magnitude_w) == (False, None)


@pytest.mark.parametrize(("power_now", "watts"), [("-17000000", 17.0), ("0", 18.0), ("", 18.0), ("much", 18.0)])
def test_power_is_the_drivers_unless_it_always_says_zero(tmp_path: Path, power_now: str, watts: float) -> None:
    plant(tmp_path, BATTERY | {"sys/class/power_supply/BAT0/power_now": power_now})
    assert read(tmp_path)["BAT0"].magnitude_w == watts


def test_machine_without_supplies_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) == {}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("capacity", "255", "found 255, expected 0 to 100"),
        ("capacity", "-1", "found -1, expected 0 to 100"),
        ("voltage_now", "9" * 400, "expected an integer"),
    ],
)
def test_number_that_cannot_be_one_is_absent_and_named(tmp_path: Path, file: str, text: str, said: str) -> None:
    found = read(plant(tmp_path, BATTERY | {f"sys/class/power_supply/BAT0/{file}": text}))["BAT0"]
    assert (found.capacity_pct if file == "capacity" else found.voltage_v) is None
    assert found.current_a == -1.5
    assert len(found.faults) == 1 and f"BAT0/{file}: found" in found.faults[0] and said in found.faults[0]
