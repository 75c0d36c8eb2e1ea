from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchlab.daemon import Absent, Transient
from benchlab.host.hwmon import ChipReading, Hwmon
from support.recorded_sysfs import RecordedSysfs


class Machine:
    """A recorded tree of sensors, a clock, and the reader of both."""

    def __init__(self, root: Path, name: str) -> None:
        self.tree = RecordedSysfs(root, f"hwmon/{name}")
        self.folder = self.tree.sys / "class/hwmon"
        self.now_ns = 0
        self.reader = Hwmon(root, lambda: self.now_ns)

    def read(self, later_s: float = 1.0) -> dict[str, ChipReading]:
        self.now_ns += round(later_s * 1e9)
        return {chip.address: chip for chip in self.reader.read()}


@pytest.fixture
def desktop(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root", "desktop")


def values(chip: ChipReading) -> dict[tuple[str, str], float]:
    return {(sensor.label, sensor.quantity): sensor.value for sensor in chip.sensors}


def test_every_chip_with_a_sensor_is_found_by_name_and_device(desktop: Machine) -> None:
    assert set(desktop.read()) == {
        "acpitz@thermal_zone0",
        "amdgpu@0000:0b:00.0",
        "corsairpsu@0003:1B1C:1C05.0003",
        "hidpp_battery_0",
        "k10temp@0000:00:18.3",
        "nct6687@nct6687.2592",
        "nvme@nvme0",
        "nvme@nvme1",
    }


def test_values_come_in_the_units_of_their_names(desktop: Machine) -> None:
    chips = desktop.read()
    assert values(chips["k10temp@0000:00:18.3"]) == {("Tctl", "temp_c"): 52.125, ("Tccd1", "temp_c"): 48.5}
    assert values(chips["corsairpsu@0003:1B1C:1C05.0003"]) == {
        ("curr +12v", "current_a"): 11.5,
        ("v_in", "voltage_v"): 230.0,
        ("power total", "power_w"): 212.0,
        ("power +12v", "power_w"): 138.0,
        ("vrm temp", "temp_c"): 44.25,
    }


def test_average_power_stands_in_where_there_is_no_instant_one(desktop: Machine) -> None:
    assert values(desktop.read()["amdgpu@0000:0b:00.0"])["PPT", "power_w"] == 31.0
    (desktop.folder / "hwmon4/power1_input").write_text("64000000\n")
    desktop.reader = Hwmon(desktop.tree.root)
    assert values(desktop.read()["amdgpu@0000:0b:00.0"])["PPT", "power_w"] == 64.0


def test_sensor_that_says_it_is_broken_is_absent(desktop: Machine) -> None:
    board = desktop.read()["nct6687@nct6687.2592"]
    assert ("T_SEN1", "temp_c") not in values(board)
    desktop.tree.write("class/hwmon/hwmon5/temp2_fault", "0")
    assert ("T_SEN1", "temp_c") in values(desktop.read()["nct6687@nct6687.2592"])


def test_sensor_without_a_label_goes_by_the_kernels_name(desktop: Machine) -> None:
    (sensor,) = desktop.read()["acpitz@thermal_zone0"].sensors
    assert (sensor.name, sensor.label) == ("temp1", "temp1")


def test_rails_of_a_jetson_and_none_of_their_shunts(tmp_path: Path) -> None:
    chips = Machine(tmp_path / "root", "jetson_agx_orin").read()
    rails = chips["ina3221@1-0040"]
    assert rails.device == "platform/bus@0/c240000.i2c/i2c-1/1-0040"
    assert {sensor.name: sensor.value for sensor in rails.sensors} == {
        "curr1": 0.24,
        "curr2": 0.096,
        "curr3": 0.712,
        "in1": 19.824,
        "in2": 19.824,
        "in3": 5.016,
    }
    assert [sensor.label for sensor in rails.sensors if sensor.name.startswith("in")] == [
        "VDD_GPU_SOC",
        "VDD_CPU_CV",
        "VIN_SYS_5V0",
    ]
    assert "gpu_thermal@thermal_zone1" not in chips  # switched off, not at -256 degrees


def test_power_register_of_an_ina238(tmp_path: Path) -> None:
    (chip,) = Machine(tmp_path / "root", "jetson_thor_carrier").read().values()
    assert {sensor.name: sensor.value for sensor in chip.sensors if sensor.quantity == "power_w"} == {"power1": 37.44}


def test_fans_and_alarms_are_no_sensors_of_ours(tmp_path: Path) -> None:
    assert set(Machine(tmp_path / "root", "raspberry_pi_5").read()) == {
        "cpu_thermal@thermal_zone0",
        "rp1_adc@1f000c8000.adc",
    }


def test_chips_are_the_same_after_a_start_that_numbers_them_anew(desktop: Machine) -> None:
    before = desktop.read()
    for number in (0, 1, 2, 3):
        (desktop.folder / f"hwmon{number}").rename(desktop.folder / f"moving{number}")
    for number in (0, 1, 2, 3):
        (desktop.folder / f"moving{number}").rename(desktop.folder / f"hwmon{13 - number}")
    assert desktop.read(later_s=60) == before


def test_chip_that_goes_and_comes_again_is_followed(desktop: Machine) -> None:
    before = set(desktop.read())
    aside = desktop.tree.root / "aside"
    (desktop.folder / "hwmon2").rename(aside)
    assert before - set(desktop.read(later_s=60)) == {"nvme@nvme1"}
    aside.rename(desktop.folder / "hwmon2")
    assert set(desktop.read(later_s=60)) == before


def test_chip_whose_files_go_while_they_are_read_is_looked_for_at_once(desktop: Machine) -> None:
    desktop.read()
    for chip in desktop.reader._chips:
        chip.close()  # the kernel answers ENODEV to files that are open, an ordinary file cannot
    shutil.rmtree(desktop.folder / "hwmon1")
    assert "nvme@nvme0" not in desktop.read()


def test_two_chips_of_one_device_and_name_are_told_apart(desktop: Machine) -> None:
    shutil.copytree(desktop.folder / "hwmon7", desktop.folder / "hwmon17")
    assert {"hidpp_battery_0", "hidpp_battery_0#2"} <= set(desktop.read())


def test_two_devices_of_one_last_name_are_told_apart_by_all_of_it(desktop: Machine) -> None:
    shutil.copytree(desktop.folder / "hwmon1", desktop.folder / "hwmon11", symlinks=True)
    link = desktop.folder / "hwmon11/device"
    link.unlink()
    link.symlink_to("../../../devices/pci0000:80/0000:80:01.2/0000:81:00.0/nvme/nvme0")
    assert {
        "nvme@pci0000:00/0000:00:01.2/0000:01:00.0/nvme/nvme0",
        "nvme@pci0000:80/0000:80:01.2/0000:81:00.0/nvme/nvme0",
    } <= set(desktop.read())


def test_value_that_is_missing_this_time_leaves_the_others(desktop: Machine) -> None:
    desktop.read()
    path = desktop.folder / "hwmon3/temp1_input"
    path.chmod(0o644)
    path.write_text("")
    assert values(desktop.read()["k10temp@0000:00:18.3"]) == {("Tccd1", "temp_c"): 48.5}
    path.write_text("no number\n")
    assert values(desktop.read()["k10temp@0000:00:18.3"]) == {("Tccd1", "temp_c"): 48.5}


def test_chips_that_all_have_no_value_are_transient(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "root", "jetson_thor_carrier")
    for path in machine.folder.glob("*/*_input"):
        path.chmod(0o644)
        path.write_text("")
    with pytest.raises(Transient, match="none of 1 chips"):
        machine.read()


def test_host_without_chips_is_absent_and_says_what_finds_them(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="sys/class/hwmon") as caught:
        Hwmon(tmp_path).read()
    assert "sensors-detect" in caught.value.fix
