from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from time import time_ns
from typing import Any

import pytest

from benchlab.catalog import lookup
from benchlab.chips.i2c import Bus, open_bus
from benchlab.daemon import Absent, Transient
from benchlab.errors import Exit, Fault
from edgepower.collectors import BaseCollector, Options, get_collector
from support.edge_fixtures import FIXTURES, plant
from support.fake_i2c import FakeBus, ina260
from support.recorded_sysfs import RecordedRapl

PI = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "proc/meminfo": "MemTotal: 4194304 kB\nMemFree: 900000 kB\nMemAvailable: 3145728 kB\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "45764\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}
PI_5 = PI | {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}
HWMON_INA260 = {
    "sys/class/hwmon/hwmon2/name": "ina260\n",
    "sys/class/hwmon/hwmon2/in1_input": "5000\n",
    "sys/class/hwmon/hwmon2/curr1_input": "1200\n",
    "sys/class/hwmon/hwmon2/power1_input": "5990000\n",
}
AC = "sys/class/power_supply/axp20x-ac"
USB = "sys/class/power_supply/axp20x-usb"
BATTERY = "sys/class/power_supply/axp20x-battery"
AXP209 = {
    "proc/device-tree/model": "Xunlong Orange Pi\0",
    f"{AC}/type": "Mains\n",
    f"{AC}/online": "1\n",
    f"{AC}/voltage_now": "5020000\n",
    f"{AC}/current_now": "500000\n",
    f"{USB}/type": "USB\n",
    f"{USB}/online": "0\n",
    f"{USB}/voltage_now": "0\n",
    f"{USB}/current_now": "0\n",
    "sys/class/power_supply/tcpm-source-psy-4-0022/type": "USB\n",
    "sys/class/power_supply/tcpm-source-psy-4-0022/online": "1\n",
    "sys/class/power_supply/tcpm-source-psy-4-0022/voltage_now": "12000000\n",
    "sys/class/power_supply/tcpm-source-psy-4-0022/current_now": "3000000\n",
}
RUNS_ON_BATTERY = AXP209 | {
    f"{AC}/online": "0\n",
    f"{BATTERY}/type": "Battery\n",
    f"{BATTERY}/status": "Discharging\n",
    f"{BATTERY}/voltage_now": "3800000\n",
    f"{BATTERY}/current_now": "600000\n",
    f"{BATTERY}/capacity": "71\n",
}


def no_bus(number: int) -> Bus:
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"/dev/i2c-{number}")


def board(device_type: str, root: Path, bus: FakeBus | Callable[[int], Bus] = no_bus, **config: Any) -> BaseCollector:
    opened = bus if callable(bus) else lambda number: bus
    return get_collector(device_type, config, Options(root=root, open_bus=opened))


def unknown(collector: BaseCollector, found: dict[str, float]) -> list[str]:
    names = {*found, *collector.absent, *collector.scopes}
    return [name for name in names if lookup(f"edge.{collector.device_type}", name) is None]


def test_pi_with_an_ina260_in_its_supply(tmp_path: Path) -> None:
    collector = board("raspberry_pi", plant(tmp_path, PI), ina260(5.1, 0.8))
    before_ns = time_ns()
    found = collector.get_metrics()
    assert found == pytest.approx(
        {
            "power_total_watts": 4.08,
            "power_voltage_volts": 5.1,
            "power_current_amps": 0.8,
            "raspberry_pi_temp_cpu_celsius": 45.764,
            "raspberry_pi_ram_total_mb": 4096.0,
            "raspberry_pi_ram_used_mb": 1024.0,
            "raspberry_pi_ram_used_percent": 25.0,
            "raspberry_pi_throttled_flags": 0x50005,
        }
    )
    assert (collector.scopes, collector.absent) == ({"power_total_watts": "board_input"}, {})
    assert collector.window_ms == 2.2
    assert collector.stamp is not None and collector.stamp.unc_ns is not None
    assert before_ns <= collector.stamp.ts_ns <= time_ns()
    assert collector.identity == {"model": "Raspberry Pi 4 Model B Rev 1.5"}
    assert unknown(collector, found) == []


def test_address_and_bus_are_those_of_the_configuration(tmp_path: Path) -> None:
    asked = []

    def opened(number: int) -> Bus:
        asked.append(number)
        return ina260(5.0, 1.0, address=0x44)

    collector = board("raspberry_pi", plant(tmp_path, PI), opened, ina260={"bus": 3, "address": 0x44})
    assert collector.get_metrics()["power_total_watts"] == 5.0
    assert asked == [3]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errno.EREMOTEIO, r"0x40: nobody answers \(check the wiring"),
        (errno.EBUSY, "a driver of the kernel has it"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_chip_that_does_not_answer_hides_nothing_else(tmp_path: Path, error: int, said: str) -> None:
    bus = ina260(5.0, 1.0)
    collector = board("raspberry_pi", plant(tmp_path, PI), bus)
    bus.error = error
    found = collector.get_metrics()
    assert found["raspberry_pi_temp_cpu_celsius"] == 45.764
    assert "power_total_watts" not in found
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(collector.absent["power_total_watts"])
    assert bus.is_closed
    bus.error = None
    assert collector.get_metrics()["power_total_watts"] == 5.0
    assert collector.absent == {}


def test_missing_bus_says_how_to_get_one(tmp_path: Path) -> None:
    collector = board("raspberry_pi", plant(tmp_path, PI))
    collector.get_metrics()
    said = collector.absent["power_total_watts"]
    assert said.startswith("/dev/i2c-1: No such file or directory")
    assert "raspi-config" in said and "modprobe i2c-dev" in said


def test_the_library_itself_is_asked_for_a_bus() -> None:
    with pytest.raises(FileNotFoundError):
        open_bus(255)


def test_chip_that_the_kernel_drives_is_read_through_its_driver(tmp_path: Path) -> None:
    collector = board("raspberry_pi", plant(tmp_path, PI | HWMON_INA260))
    found = collector.get_metrics()
    assert (found["power_total_watts"], found["power_voltage_volts"], found["power_current_amps"]) == (5.99, 5.0, 1.2)


def test_two_monitors_are_not_added_up(tmp_path: Path) -> None:
    second = {name.replace("hwmon2", "hwmon3"): text for name, text in HWMON_INA260.items()}
    collector = board("raspberry_pi", plant(tmp_path, PI | HWMON_INA260 | second))
    assert "power_total_watts" not in collector.get_metrics()
    assert "which one is in the supply line is not known" in collector.absent["power_total_watts"]


def test_nothing_at_all_is_absent(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="i2c-1"):
        board("raspberry_pi", tmp_path).get_metrics()


def vcgencmd(tmp_path: Path, script: str) -> str:
    path = tmp_path / "vcgencmd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def listing(tmp_path: Path) -> str:
    text = FIXTURES / "raspberry_pi" / "pi5_pmic_read_adc.txt"
    return vcgencmd(tmp_path, f'[ "$1" = pmic_read_adc ] && exec cat {quote(str(text))}; exit 1')


def test_power_chip_of_a_pi_5_is_no_total(tmp_path: Path) -> None:
    config = {"vcgencmd": listing(tmp_path)}
    collector = board("raspberry_pi", plant(tmp_path, PI_5), raspberry_pi=config)
    found = collector.get_metrics()
    assert found["raspberry_pi_pmic_output_watts"] == pytest.approx(3.679735)
    assert found["raspberry_pi_power_vdd_core_watts"] == pytest.approx(2.2)
    assert found["raspberry_pi_voltage_ext5v_volts"] == 5.04
    assert "power_total_watts" not in found
    assert "less than the board takes in" in collector.absent["power_total_watts"]
    assert collector.scopes["raspberry_pi_pmic_output_watts"] == "rail"
    assert unknown(collector, found) == []


def test_estimate_is_made_when_asked_for_and_called_so(tmp_path: Path) -> None:
    config = {"vcgencmd": listing(tmp_path), "estimate_total": True}
    collector = board("raspberry_pi", plant(tmp_path, PI_5), raspberry_pi=config)
    found = collector.get_metrics()
    assert found["power_total_watts"] == found["raspberry_pi_input_estimate_watts"] == pytest.approx(4.801565)
    assert collector.scopes["power_total_watts"] == "estimate"
    assert collector.absent == {}
    assert collector.stamp is not None
    assert unknown(collector, found) == []


def test_what_is_measured_goes_before_what_is_estimated(tmp_path: Path) -> None:
    config = {"vcgencmd": listing(tmp_path), "estimate_total": True}
    collector = board("raspberry_pi", plant(tmp_path, PI_5), ina260(5.0, 1.0), raspberry_pi=config)
    assert collector.get_metrics()["power_total_watts"] == 5.0
    assert collector.scopes["power_total_watts"] == "board_input"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'VCHI initialization failed' >&2; exit 255", "VCHI initialization failed (join the group video"),
        ("echo 'error=1 error_msg=\"Command not registered\"'", "Command not registered"),
        ("echo hello", "expected lines such as"),
        ("exit 1", "exit code 1"),
    ],
)
def test_firmware_that_does_not_tell(tmp_path: Path, script: str, said: str) -> None:
    config = {"vcgencmd": vcgencmd(tmp_path, script)}
    collector = board("raspberry_pi", plant(tmp_path, PI_5), ina260(5.0, 1.0), raspberry_pi=config)
    assert collector.get_metrics()["power_total_watts"] == 5.0
    assert said in collector.absent["raspberry_pi_pmic_output_watts"]


def test_missing_vcgencmd_says_what_brings_it(tmp_path: Path) -> None:
    collector = board("raspberry_pi", plant(tmp_path, PI_5), raspberry_pi={"vcgencmd": "/nowhere/vcgencmd"})
    collector.get_metrics()
    assert "apt install" in collector.absent["raspberry_pi_pmic_output_watts"]


def test_hanging_vcgencmd_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchlab.host.vcgencmd.TIMEOUT_S", 0.2)
    config = {"vcgencmd": vcgencmd(tmp_path, "exec sleep 60")}
    collector = board("raspberry_pi", plant(tmp_path, PI_5), raspberry_pi=config)
    collector.get_metrics()
    assert "no answer within 0.2 s" in collector.absent["raspberry_pi_pmic_output_watts"]


def test_recorded_pi_does_not_ask_this_machines_firmware(tmp_path: Path) -> None:
    collector = board("raspberry_pi", plant(tmp_path, PI_5))
    collector.get_metrics()
    assert "raspberry_pi_pmic_output_watts" not in collector.absent


def test_orange_pi_with_an_axp209(tmp_path: Path) -> None:
    collector = board("orange_pi", plant(tmp_path, AXP209))
    found = collector.get_metrics()
    assert found == pytest.approx(
        {
            "power_total_watts": 2.51,
            "orange_pi_voltage_axp20x_ac_volts": 5.02,
            "orange_pi_power_axp20x_ac_watts": 2.51,
            "orange_pi_voltage_axp20x_usb_volts": 0.0,
            "orange_pi_power_axp20x_usb_watts": 0.0,
        }
    )
    assert collector.scopes["power_total_watts"] == "board_input"
    assert unknown(collector, found) == []


def test_orange_pi_on_its_battery(tmp_path: Path) -> None:
    collector = board("orange_pi", plant(tmp_path, RUNS_ON_BATTERY))
    found = collector.get_metrics()
    assert found["power_total_watts"] == pytest.approx(3.8 * 0.6)
    assert found["orange_pi_charge_axp20x_battery_percent"] == 71
    assert unknown(collector, found) == []


def test_input_and_battery_at_once_are_no_total(tmp_path: Path) -> None:
    collector = board("orange_pi", plant(tmp_path, RUNS_ON_BATTERY | {f"{AC}/online": "1\n"}))
    assert "power_total_watts" not in collector.get_metrics()
    assert "both feed the board" in collector.absent["power_total_watts"]


@pytest.mark.parametrize("later", ["axp22x-ac", "axp813-ac"])
def test_later_power_chips_measure_no_input(tmp_path: Path, later: str) -> None:
    files = {f"sys/class/power_supply/{later}/{name}": text for name, text in (("type", "Mains"), ("online", "1"))}
    collector = board("orange_pi", plant(tmp_path, files | {"proc/meminfo": PI["proc/meminfo"]}))
    assert "power_total_watts" not in collector.get_metrics()
    assert "no meter of its own" in collector.absent["power_total_watts"]


def test_orange_pi_clocks_and_loads(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/type": "soc-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "41000\n",
        "sys/class/devfreq/fb000000.gpu/cur_freq": "800000000\n",
        "sys/class/devfreq/fb000000.gpu/load": "94@800000000Hz\n",
        "sys/class/devfreq/fdab0000.npu/cur_freq": "1000000000\n",
        "sys/class/regulator/regulator.1/microvolts": "900000\n",
    }
    collector = board("orange_pi", plant(tmp_path, files))
    found = collector.get_metrics()
    assert found == {
        "orange_pi_temp_soc_celsius": 41.0,
        "orange_pi_gpu_freq_mhz": 800.0,
        "orange_pi_gpu_usage_percent": 94.0,
        "orange_pi_npu_freq_mhz": 1000.0,
    }
    assert unknown(collector, found) == []


def test_orange_pi_touches_i2c_only_when_told_to(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": PI["proc/meminfo"]})
    bus = ina260(5.0, 1.0)
    board("orange_pi", tmp_path, bus).get_metrics()
    assert bus.read == []
    assert board("orange_pi", tmp_path, bus, ina260={}).get_metrics()["power_total_watts"] == 5.0


def test_nothing_on_an_orange_pi_is_absent(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="nothing to read"):
        board("orange_pi", tmp_path).get_metrics()


class Clock:
    def __init__(self) -> None:
        self.ns = 1_000_000_000

    def now_ns(self) -> int:
        self.ns += 1000
        return self.ns


def test_lattepanda_counts_its_package(tmp_path: Path) -> None:
    machine, clock = RecordedRapl(tmp_path, "intel_client"), Clock()
    collector = get_collector("lattepanda", {}, Options(root=tmp_path, now_ns=clock.now_ns))
    first = collector.get_metrics()
    assert first["energy_total_joules"] == 0.0
    assert "no power yet" in collector.absent["power_total_watts"]
    machine.draw(p0=7.5, p0_0=3.0, p0_1=0.5)
    clock.ns += 1_000_000_000
    found = collector.get_metrics()
    assert found["power_total_watts"] == pytest.approx(7.5, rel=1e-3)
    assert found["power_gpu_watts"] == pytest.approx(0.5, rel=1e-3)
    assert found["energy_total_joules"] == found["lattepanda_energy_package_joules"] == 7.5
    assert collector.scopes["power_total_watts"] == "package"
    assert collector.scopes["power_gpu_watts"] == "gpu"
    assert collector.stamp is not None and collector.stamp.ts_ns <= clock.ns
    assert unknown(collector, found) == []


def test_lattepanda_without_counters_is_absent_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(Absent) as caught:
        board("lattepanda", plant(tmp_path, {"proc/meminfo": PI["proc/meminfo"]})).get_metrics()
    assert "modprobe" in caught.value.fix


def test_counter_that_is_set_back_is_transient(tmp_path: Path) -> None:
    machine, clock = RecordedRapl(tmp_path, "intel_client"), Clock()
    collector = get_collector("lattepanda", {}, Options(root=tmp_path, now_ns=clock.now_ns))
    machine.set_uj("intel-rapl:0", 5_000_000_000)
    collector.get_metrics()
    clock.ns += 1_000_000_000
    machine.set_uj("intel-rapl:0", 1)
    with pytest.raises(Transient):
        collector.get_metrics()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"ina260": {"address": 0x20}}, r"ina260\.address: expected `int` >= 64"),
        ({"ina260": {"bus": "one"}}, r"ina260\.bus: expected `int`, got `str`"),
        ({"ina260": {"adress": 0x40}}, "unknown field `adress`"),
        ({"raspberry_pi": {"estimate_total": "yes"}}, r"raspberry_pi\.estimate_total"),
    ],
)
def test_wrong_configuration_names_the_key(config: dict[str, Any], said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        get_collector("raspberry_pi", config)
    assert caught.value.code == Exit.CONFIG
