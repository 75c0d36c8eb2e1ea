"""What the stand-alone logger reads of a battery, from folders as the kernel shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pimon.logger_power import Power, PowerSupply


def supply(root: Path, name: str, **files: str) -> Path:
    place = root / "sys/class/power_supply" / name
    place.mkdir(parents=True)
    for file, text in files.items():
        (place / file).write_text(text + "\n")
    return place


FULL = {"voltage_now": "7500000", "current_now": "400000", "capacity": "81", "status": "Discharging"}


def test_auto_takes_the_first_battery_of_the_machine(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="0")
    supply(tmp_path, "hid-mouse", type="Battery", scope="Device", capacity="10")
    supply(tmp_path, "ups", type="Battery", **FULL)
    assert PowerSupply("auto", tmp_path).read() == Power(7.5, -0.4, -3.0, 81.0)
    assert PowerSupply("none", tmp_path).read() == Power()
    assert PowerSupply("hid-mouse", tmp_path).read() == Power(battery_pct=10.0)


@pytest.mark.parametrize(
    ("status", "current", "power", "found"),
    [
        ("Discharging", "400000", None, (-0.4, -3.0)),
        ("Discharging", "-400000", None, (-0.4, -3.0)),
        ("Charging", "-400000", None, (0.4, 3.0)),
        ("Discharging", "400000", "3100000", (-0.4, -3.1)),
        ("Discharging", "400000", "0", (-0.4, -3.0)),
        ("Unknown", "-400000", "3100000", (-0.4, -3.1)),
        ("Full", "0", None, (0.0, 0.0)),
    ],
)
def test_the_sign_is_that_of_what_the_battery_does(
    tmp_path: Path, status: str, current: str, power: str | None, found: tuple[float, float]
) -> None:
    files = {**FULL, "status": status, "current_now": current} | ({"power_now": power} if power else {})
    supply(tmp_path, "BAT0", type="Battery", **files)
    read = PowerSupply("BAT0", tmp_path).read()
    assert (read.current, read.power) == pytest.approx(found)


@pytest.mark.parametrize("garbage", ["", "n/a", "7.5", "\xff"])
def test_what_is_no_number_is_absent_and_the_rest_is_read(tmp_path: Path, garbage: str) -> None:
    place = supply(tmp_path, "BAT0", type="Battery", **FULL)
    (place / "voltage_now").write_text(garbage, encoding="latin-1")
    (place / "capacity").write_text("101\n")
    assert PowerSupply("auto", tmp_path).read() == Power(None, -0.4, None, None)


def test_a_battery_that_vanishes_and_comes_back_is_read_again(tmp_path: Path) -> None:
    reader = PowerSupply("auto", tmp_path)
    assert reader.read() == Power()
    place = supply(tmp_path, "BAT0", type="Battery", **FULL)
    assert reader.read().voltage == 7.5
    place.rename(place.with_name("gone"))
    (place.with_name("gone") / "type").write_text("Mains\n")
    assert reader.read() == Power()


def test_a_slot_without_a_battery_is_passed_over_and_a_ups_is_one(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", present="0", **FULL)
    assert PowerSupply("auto", tmp_path).read() == Power()
    supply(tmp_path, "ups", type="UPS", **FULL)
    assert PowerSupply("auto", tmp_path).read() == Power(7.5, -0.4, -3.0, 81.0)


def test_a_driver_that_measures_power_only_or_tells_no_status_is_understood(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="0")
    files = {"voltage_now": "7500000", "power_now": "3000000", "status": "Unknown"}
    supply(tmp_path, "BAT0", type="Battery", **files)
    assert PowerSupply("auto", tmp_path).read() == Power(7.5, -0.4, -3.0, None)


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    said: list[str] = []
    place = supply(tmp_path, "BAT0", type="Battery", **{**FULL, "current_now": "much"})
    reader = PowerSupply("auto", tmp_path, said.append)
    for found in ("much", "more"):
        (place / "current_now").write_text(found)
        assert reader.read() == Power(7.5, None, None, 81.0)
    assert said == [f"{place}/current_now: found 'much', expected an integer; it is left out while that is so"]
