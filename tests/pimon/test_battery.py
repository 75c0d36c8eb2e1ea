from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchlab.daemon import Absent, Transient
from pimon.battery import Meter, MeterBattery, SupplyBattery, meter_of
from support.edge_fixtures import plant
from support.fake_i2c import FakeBus, ina219, ina260
from support.pi_machines import pi

FOLDER = "sys/class/power_supply"


def supply(root: Path, name: str, **files: str) -> Path:
    return plant(root, {f"{FOLDER}/{name}/{file}": f"{text}\n" for file, text in files.items()})


def battery(root: Path, name: str = "BAT0", **files: str) -> Path:
    return supply(root, name, **{"type": "Battery", "voltage_now": "4000000", **files})


def test_pi_on_its_battery(tmp_path: Path) -> None:
    found = SupplyBattery(pi(tmp_path, "pi4")).read()
    assert (found.status, found.voltage_v, found.capacity_pct) == ("Discharging", 3.842, 71.0)
    assert (found.current_a, found.power_w) == (-1.25, -4.8025)  # its driver says 0 W and knows no minus
    (only,) = found.batteries
    assert (only.current_raw_a, only.power_raw_w, only.charge_ah, only.battery) == (1.25, 0.0, 3.55, "battery")


@pytest.mark.parametrize("raw", ["1500000", "-1500000"])
@pytest.mark.parametrize(("status", "sign"), [("Discharging", -1), ("Charging", 1)])
def test_sign_is_that_of_the_status_whatever_the_driver_says(tmp_path: Path, raw: str, status: str, sign: int) -> None:
    found = SupplyBattery(battery(tmp_path, status=status, current_now=raw, power_now=raw)).read()
    assert (found.current_a, found.power_w) == (sign * 1.5, sign * 1.5)
    assert (found.batteries[0].current_raw_a, found.batteries[0].power_raw_w) == (int(raw) / 1e6, int(raw) / 1e6)


@pytest.mark.parametrize(
    ("online", "raw", "signed"), [("0", "500000", -0.5), ("1", "500000", 0.5), ("1", "-500000", -0.5), ("0", "0", 0.0)]
)
def test_sign_without_a_status_is_the_drivers_or_that_of_the_inputs(
    tmp_path: Path, online: str, raw: str, signed: float
) -> None:
    supply(tmp_path, "usb", type="USB", online=online)
    found = SupplyBattery(battery(tmp_path, status="Unknown", current_now=raw)).read()
    assert found.current_a == signed
    assert str(found.current_a) != "-0.0"


def test_power_and_current_follow_from_what_is_measured(tmp_path: Path) -> None:
    volts_only = SupplyBattery(battery(tmp_path / "a", status="Discharging")).read()
    assert (volts_only.power_w, volts_only.current_a) == (None, None)
    no_current = SupplyBattery(battery(tmp_path / "b", status="Discharging", power_now="6000000")).read()
    assert (no_current.power_w, no_current.current_a) == (-6.0, -1.5)
    assert no_current.batteries[0].current_raw_a is None
    full = SupplyBattery(battery(tmp_path / "c", status="Full", power_now="0")).read()
    assert (full.power_w, full.current_a) == (0.0, 0.0)
    broken = SupplyBattery(battery(tmp_path / "d", status="Discharging", power_now="0")).read()
    assert broken.power_w is None


def test_several_batteries_add_up_in_power_only(tmp_path: Path) -> None:
    battery(tmp_path, "BAT0", status="Discharging", current_now="1000000", capacity="80", energy_full="30000000")
    battery(tmp_path, "BAT1", status="Full", current_now="0", capacity="100", energy_full="10000000")
    found = SupplyBattery(tmp_path).read()
    assert (found.status, found.power_w, found.capacity_pct) == ("Discharging", -4.0, 85.0)
    assert (found.voltage_v, found.current_a) == (None, None)
    assert [each.battery for each in found.batteries] == ["BAT0", "BAT1"]
    assert SupplyBattery(tmp_path, "BAT1").read().capacity_pct == 100.0


def test_what_is_no_battery_of_the_machine_is_none(tmp_path: Path) -> None:
    battery(tmp_path, "hidpp_battery_0", scope="Device")
    battery(tmp_path, "BAT1", present="0")
    supply(tmp_path, "AC", type="Mains", online="1")
    with pytest.raises(Absent, match=r"found AC \(Mains\), BAT1 \(Battery\), expected one of type Battery or UPS"):
        SupplyBattery(tmp_path).read()
    supply(tmp_path, "ups", type="UPS", capacity="50")
    assert SupplyBattery(tmp_path).read().capacity_pct == 50.0


def test_battery_of_another_name_is_told_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(Absent, match=r"found BAT0 \(Battery\), expected BAT7") as caught:
        SupplyBattery(battery(tmp_path), "BAT7").read()
    assert "--power-supply NAME" in caught.value.fix


def test_battery_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    reader = SupplyBattery(battery(tmp_path, status="Charging", current_now="1"))
    reader.read()
    shutil.rmtree(tmp_path / FOLDER)
    with pytest.raises(Absent, match="found no supply"):
        reader.read()
    battery(tmp_path, status="Charging", current_now="1")
    assert reader.read().status == "Charging"


Fail = Callable[[str, int], None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Make a file of this name fail with this error, as no file of a real disk does."""
    broken: dict[str, int] = {}
    read = Path.read_text

    def failing(self: Path, *args: Any, **kwargs: Any) -> str:
        if self.name in broken:
            raise OSError(broken[self.name], os.strerror(broken[self.name]), str(self))
        return read(self, *args, **kwargs)

    monkeypatch.setattr("benchlab.host.power_supply.Path.read_text", failing)
    return broken.__setitem__


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENODEV, errno.EIO, errno.EACCES])
def test_file_that_fails_is_named_and_the_rest_is_told(tmp_path: Path, fail: Fail, error: int) -> None:
    fail("current_now", error)
    found = SupplyBattery(battery(tmp_path, status="Discharging", current_now="1", capacity="55")).read()
    assert (found.current_a, found.voltage_v, found.capacity_pct) == (None, 4.0, 55.0)
    assert found.why == f"{tmp_path / FOLDER}/BAT0/current_now: {os.strerror(error)}"


@pytest.mark.parametrize("error", [errno.ENODATA, errno.EINVAL])
def test_file_without_a_value_at_the_moment_is_no_fault(tmp_path: Path, fail: Fail, error: int) -> None:
    fail("current_now", error)
    assert SupplyBattery(battery(tmp_path, current_now="1")).read().why is None


def test_garbage_is_named_with_what_was_found(tmp_path: Path) -> None:
    battery(tmp_path, current_now="much", capacity="55")
    found = SupplyBattery(tmp_path).read()
    assert (found.current_a, found.capacity_pct) == (None, 55.0)
    assert found.why == f"{tmp_path / FOLDER}/BAT0/current_now: found 'much', expected an integer"


def test_battery_that_tells_nothing_is_no_reading(tmp_path: Path, fail: Fail) -> None:
    battery(tmp_path, capacity="x")
    fail("voltage_now", errno.EAGAIN)
    with pytest.raises(Transient, match=r"voltage_now: Resource temporarily unavailable; .*capacity: found 'x'"):
        SupplyBattery(tmp_path).read()


def test_battery_without_files_is_no_reading(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery")
    with pytest.raises(Transient, match="BAT0 tells neither voltage, power nor capacity"):
        SupplyBattery(tmp_path).read()


def on_bus(bus: FakeBus, number: int) -> FakeBus:
    assert number == 1
    return bus


@pytest.mark.parametrize(("is_reversed", "sign"), [(False, 1), (True, -1)])
@pytest.mark.parametrize("amperes", [0.8, -0.8])
def test_meter_in_a_batterys_line(amperes: float, is_reversed: bool, sign: int) -> None:
    for chip, bus in (("ina219", ina219(7.6, amperes, 0x42)), ("ina260", ina260(7.6, amperes, 0x42))):
        found = MeterBattery(Meter(chip, 1, 0x42, is_reversed=is_reversed), partial(on_bus, bus)).read()
        signed = sign * amperes
        assert (found.voltage_v, found.current_a, found.power_w) == pytest.approx((7.6, signed, 7.6 * signed))
        assert found.status == ("Charging" if signed > 0 else "Discharging")
        assert found.batteries[0].battery == f"{chip}@1:0x42"
        assert found.batteries[0].current_raw_a == pytest.approx(amperes)
        assert found.capacity_pct is None  # it does not measure that


def test_meter_that_is_pulled_off_and_comes_back() -> None:
    opened: list[FakeBus] = []

    def open_bus(number: int) -> FakeBus:
        opened.append(ina219(7.6, 1.0))
        return opened[-1]

    reader = MeterBattery(Meter("ina219"), open_bus)
    reader.read()
    opened[0].error = errno.EREMOTEIO
    with pytest.raises(Absent, match="nobody answers") as caught:
        reader.read()
    assert "--power-supply" in caught.value.fix
    assert opened[0].is_closed
    assert reader.read().current_a == pytest.approx(1.0)
    assert len(opened) == 2


def test_missing_bus_says_how_to_get_one() -> None:
    def open_bus(number: int) -> FakeBus:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    with pytest.raises(Absent, match="/dev/i2c-3: No such file"):
        MeterBattery(Meter("ina260", 3), open_bus).read()


@pytest.mark.parametrize(
    ("text", "meter"),
    [
        ("auto", None),
        ("none", None),
        ("BAT0", None),
        ("ina219", Meter("ina219", 1, 0x40, 0.05, True)),
        ("ina260@3", Meter("ina260", 3, 0x40, 0.05, True)),
        ("ina219@0:0x45", Meter("ina219", 0, 0x45, 0.05, True)),
    ],
)
def test_choice_of_a_power_supply(text: str, meter: Meter | None) -> None:
    assert meter_of(text, 0.05, True) == meter


@pytest.mark.parametrize("text", ["", "../x", "..", "a b", "ina219@", "ina219@1:42", "ina219@1:0x39", "ina260@300"])
def test_choice_that_cannot_be_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"found .*, expected"):
        meter_of(text, 0.1, False)
