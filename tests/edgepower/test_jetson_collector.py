from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shlex import join, quote
from time import time_ns
from typing import Any

import pytest

from benchlab.catalog import lookup
from benchlab.daemon import Absent, Transient
from benchlab.errors import Exit, Fault
from edgepower.collectors import BaseCollector, Options, get_collector
from edgepower.collectors import tegrastats_child as child
from support.edge_fixtures import FIXTURES, plant
from support.processes import until
from support.recorded_sysfs import RecordedSysfs

FAKE = Path(__file__).parent.parent / "support" / "fake_tegrastats.py"

HOST = {
    "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    "proc/meminfo": "MemTotal: 2097152 kB\nMemFree: 900000 kB\nMemAvailable: 1048576 kB\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48500\n",
    "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "-256000\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/devices/platform/17000000.gpu/load": "125\n",
}
IIO = "sys/bus/i2c/drivers/ina3221x/1-0040/iio:device0"
L4T_32 = {
    f"{IIO}/rail_name_0": "POM_5V_IN\n",
    f"{IIO}/in_power0_input": "2771\n",
    f"{IIO}/rail_name_1": "POM_5V_GPU\n",
    f"{IIO}/in_power1_input": "158\n",
    f"{IIO}/rail_name_2": "NC\n",
    f"{IIO}/in_power2_input": "9\n",
}


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "SILENT_INTERVALS", 100)


@pytest.fixture
def made() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def jetson(made: ExitStack, root: Path, board: str | None = None, *args: str) -> BaseCollector:
    command = [sys.executable, str(FAKE), str(FIXTURES / "tegrastats" / f"{board}.txt"), *args]
    config: dict[str, Any] = {"tegrastats": {"command": command}} if board else {}
    collector = get_collector("jetson_orin", config, Options(root=root, period_s=0.1))
    made.callback(collector.close)
    return collector


def test_board_with_tegrastats_alone(made: ExitStack, tmp_path: Path) -> None:
    collector = jetson(made, tmp_path, "xavier_nx")
    before_ns = time_ns()
    found = collector.get_metrics()
    assert found["power_total_watts"] == found["jetson_power_vdd_in_watts"] == 5.411
    assert found["jetson_ram_used_mb"] == 2711
    assert found["jetson_tegrastats_unknown_tokens"] == 0
    assert collector.scopes["power_total_watts"] == "module"
    assert "shares VDD_CPU_GPU_CV" in collector.absent["power_gpu_watts"]
    assert collector.stamp is not None and before_ns < collector.stamp.ts_ns <= time_ns()
    assert collector.stamp.unc_ns is None


def test_power_is_the_monitors_and_the_rest_is_of_tegrastats(made: ExitStack, tmp_path: Path) -> None:
    RecordedSysfs(tmp_path, "hwmon/jetson_agx_orin")
    collector = jetson(made, tmp_path, "agx_orin")
    rails_w = (19.824 * 0.240, 19.824 * 0.096)
    until(lambda: "jetson_temp_tj_celsius" in collector.get_metrics())
    found = collector.get_metrics()
    assert (found["jetson_power_vdd_gpu_soc_watts"], found["jetson_power_vdd_cpu_cv_watts"]) == pytest.approx(rails_w)
    assert found["jetson_temp_tj_celsius"] in (58.281, 58.093)
    assert found["power_total_watts"] == pytest.approx(
        sum(found[f"jetson_power_{rail}_watts"] for rail in ("vdd_gpu_soc", "vdd_cpu_cv", "vin_sys_5v0"))
    )
    assert not [name for name in found if "_nc_" in name]
    assert collector.stamp is not None and collector.stamp.unc_ns is not None


def test_without_tegrastats_the_rest_comes_from_sysfs(made: ExitStack, tmp_path: Path) -> None:
    RecordedSysfs(tmp_path, "hwmon/jetson_agx_orin")
    collector = jetson(made, plant(tmp_path, HOST))
    found = collector.get_metrics()
    assert found["jetson_temp_cpu_celsius"] == 48.5
    assert found["jetson_gpu_usage_percent"] == 12.5
    assert found["jetson_gpu_freq_mhz"] == 306.0
    assert (found["jetson_ram_used_mb"], found["jetson_ram_used_percent"]) == (1024.0, 50.0)
    assert "jetson_temp_cv0_celsius" not in found
    assert "tegrastats.command" in collector.absent["jetson_emc_freq_mhz"]
    assert collector.identity == {"model": "NVIDIA Jetson AGX Orin Developer Kit"}
    assert [name for name in found if lookup("edge.jetson_orin", name) is None] == []


def test_zones_of_an_older_release_have_the_same_names_and_constants_are_dropped(
    made: ExitStack, tmp_path: Path
) -> None:
    RecordedSysfs(tmp_path, "hwmon/jetson_agx_orin")
    zones = {"CPU-therm": 41000, "GPU-therm": 39500, "PMIC-Die": 100000, "thermal-fan-est": 40100}
    folder = "sys/class/thermal/thermal_zone"
    for number, (zone, millidegrees) in enumerate(zones.items()):
        plant(tmp_path, {f"{folder}{number}/type": f"{zone}\n", f"{folder}{number}/temp": f"{millidegrees}\n"})
    plant(tmp_path, {"sys/class/devfreq/17000000.ga10b/cur_freq": "612000000\n"})
    found = jetson(made, tmp_path).get_metrics()
    temps = {name: value for name, value in found.items() if name.endswith("_celsius")}
    assert temps == {"jetson_temp_cpu_celsius": 41.0, "jetson_temp_gpu_celsius": 39.5}
    assert found["jetson_gpu_freq_mhz"] == 612.0


def test_hanging_tegrastats_does_not_hide_the_power(made: ExitStack, tmp_path: Path) -> None:
    RecordedSysfs(tmp_path, "hwmon/jetson_agx_orin")
    collector = jetson(made, plant(tmp_path, HOST), "agx_orin", "--fault", "hang", "--after", "0")
    for _ in range(3):
        assert collector.get_metrics()["power_total_watts"] > 0
    assert "no line yet" in collector.absent["jetson_emc_freq_mhz"]


def test_carrier_that_measures_its_input(made: ExitStack, tmp_path: Path) -> None:
    RecordedSysfs(tmp_path, "hwmon/jetson_thor_carrier")
    collector = jetson(made, tmp_path)
    found = collector.get_metrics()
    assert found["power_total_watts"] == found["jetson_power_vin_watts"] == 37.44
    assert collector.scopes["power_total_watts"] == "board_input"


def test_monitors_of_l4t_32(made: ExitStack, tmp_path: Path) -> None:
    collector = jetson(made, plant(tmp_path, L4T_32))
    found = collector.get_metrics()
    assert (found["power_total_watts"], found["power_gpu_watts"]) == (2.771, 0.158)
    assert set(found) == {
        "power_total_watts",
        "power_gpu_watts",
        "jetson_power_pom_5v_in_watts",
        "jetson_power_pom_5v_gpu_watts",
    }


def test_rail_without_a_value_is_absent_and_so_is_the_total(made: ExitStack, tmp_path: Path) -> None:
    collector = jetson(made, plant(tmp_path, L4T_32))
    collector.get_metrics()
    power = tmp_path / IIO / "in_power0_input"
    power.write_text("garbage\n")
    found = collector.get_metrics()
    assert found["power_gpu_watts"] == 0.158
    assert collector.absent["power_total_watts"] == "no value of POM_5V_IN at the moment"
    power.write_text("")
    assert "power_total_watts" not in collector.get_metrics()
    power.write_text("2800\n")
    assert collector.get_metrics()["power_total_watts"] == 2.8


def test_machine_that_is_no_jetson_is_absent(made: ExitStack, tmp_path: Path) -> None:
    with pytest.raises(Absent) as caught:
        jetson(made, plant(tmp_path, HOST)).get_metrics()
    assert "tegrastats.command" in caught.value.fix


def test_tegrastats_that_ends_is_transient(made: ExitStack, tmp_path: Path) -> None:
    with pytest.raises(Transient, match="exit code 3"):
        jetson(made, tmp_path, "nano", "--fault", "exit", "--after", "0").get_metrics()


def test_unknown_tokens_are_counted_and_shown(made: ExitStack, tmp_path: Path) -> None:
    strange = tmp_path / "strange.txt"
    strange.write_text("RAM 1/2MB (lfb 1x4MB) VDD_IN 5000/5000 QUANTUM 7q\n")
    command = join([sys.executable, str(FAKE), str(strange)])
    collector: Any = get_collector("jetson_nano", {"tegrastats": {"command": command}}, Options(root=tmp_path))
    made.callback(collector.close)
    found = collector.get_metrics()
    assert (found["power_total_watts"], found["jetson_tegrastats_unknown_tokens"]) == (5.0, 2)
    assert collector.unknown_tokens == {"QUANTUM": 1, "7q": 1}
    assert collector.raw_line == strange.read_text().strip()


@pytest.mark.parametrize(("period_s", "interval_ms"), [(0.1, "100"), (0.01, "100"), (0.5, "500"), (3600.0, "1000")])
def test_tegrastats_prints_often_enough_for_nobody_to_wait_long(
    made: ExitStack, tmp_path: Path, period_s: float, interval_ms: str
) -> None:
    told = tmp_path / "told"
    printing = tmp_path / "tegrastats"
    printing.write_text(f"#!/bin/sh\necho $* > {quote(str(told))}\necho VDD_IN 5000mW/5000mW\nexec sleep 60\n")
    printing.chmod(0o755)
    options = Options(root=tmp_path, period_s=period_s)
    collector = get_collector("jetson_orin", {"tegrastats": {"command": str(printing)}}, options)
    made.callback(collector.close)
    assert collector.get_metrics()["power_total_watts"] == 5.0
    assert told.read_text().split() == ["--interval", interval_ms]


@pytest.mark.parametrize("section", [{"command": 5}, {"comand": "x"}, ["tegrastats"], {"command": [1]}])
def test_wrong_section_is_refused(section: Any) -> None:
    with pytest.raises(Fault, match=r"^tegrastats") as caught:
        get_collector("jetson_orin", {"tegrastats": section})
    assert caught.value.code == Exit.CONFIG
