from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import edgepower.collectors
from benchlab.catalog import energy_key, lookup
from benchlab.daemon import Absent
from benchlab.errors import Exit, Fault
from benchlab.sim import NS, LoadModel
from edgepower.collectors import MODULES, Options, get_collector, get_collectors
from edgepower.collectors.simulated import DEVICES
from support.edge_fixtures import plant
from support.tree import REPOSITORY, program_env


class Clock:
    def __init__(self, ns: int = 1_770_000_000 * NS) -> None:
        self.ns = ns

    def now_ns(self) -> int:
        return self.ns


def simulated(device_type: str, clock: Clock | None = None) -> Any:
    return get_collector(device_type, {}, Options(now_ns=(clock or Clock()).now_ns, simulate=LoadModel()))


def test_every_type_can_be_simulated() -> None:
    assert set(DEVICES) == set(MODULES)


@pytest.mark.parametrize("device_type", MODULES)
def test_simulated_device_says_that_it_is_and_nothing_that_is_not_in_the_catalog(device_type: str) -> None:
    collector = simulated(device_type)
    found = collector.get_metrics()
    assert collector.is_simulated
    assert (collector.device_type, collector.stamp.unc_ns) == (device_type, 0)
    names = {*found, *collector.scopes, *collector.absent}
    assert [name for name in names if lookup(f"edge.{device_type}", name) is None] == []
    assert {name for name in found if name.endswith("_watts")} == set(collector.scopes)
    assert ("power_total_watts" in found) == (device_type != "jetson_tx1")  # its tegrastats prints no rail


@pytest.mark.parametrize("device_type", MODULES)
def test_simulated_reading_is_a_function_of_the_time(device_type: str) -> None:
    clock = Clock()
    before, later = simulated(device_type, clock), simulated(device_type, clock)
    first = before.get_metrics()
    clock.ns += 30 * NS
    assert before.get_metrics() != first
    assert later.get_metrics() == before.get_metrics()
    assert before.stamp.ts_ns == clock.ns


@pytest.mark.parametrize("device_type", ["shelly", "lattepanda"])
def test_simulated_energy_is_the_integral_of_the_simulated_power(device_type: str) -> None:
    clock = Clock()
    collector = simulated(device_type, clock)
    first = collector.get_metrics()["energy_total_joules"]
    step_ns, joules = 10_000_000, 0.0
    for _ in range(2000):
        clock.ns += step_ns
        joules += collector.get_metrics()["power_total_watts"] * step_ns / NS
    assert collector.get_metrics()["energy_total_joules"] - first == pytest.approx(joules, rel=1e-2)


def test_real_device_is_not_said_to_be_simulated() -> None:
    config = {"shelly": {"host": "192.0.2.1"}}
    assert [kind for kind in MODULES if get_collector(kind, config).is_simulated] == []


@pytest.mark.parametrize(
    ("device_type", "said"),
    [
        ("jetson_orinn", "did you mean jetson_orin"),
        ("rasberry_pi", "did you mean raspberry_pi"),
        (None, "found None, expected one of jetson_nano, jetson_orin"),
        (7, "found 7, expected one of"),
        ("", "found '', expected one of"),
    ],
)
def test_unknown_type_is_told_with_those_that_are_known(device_type: Any, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        get_collector(device_type, {})
    assert caught.value.code == Exit.CONFIG


def test_list_of_devices() -> None:
    config = {
        "device_type": "jetson_orin",
        "tegrastats": {"command": "tegrastats"},
        "devices": [
            {"device_type": "jetson_orin"},
            {"device_type": "shelly", "name": "desk", "shelly": {"host": "192.0.2.1"}},
            {"device_type": "shelly", "shelly": {"host": "192.0.2.2"}},
        ],
    }
    made = get_collectors(config)
    assert [(one.device_type, one.dev) for one in made] == [
        ("jetson_orin", None),
        ("shelly", "desk"),
        ("shelly", "192.0.2.2"),
    ]


def test_one_type_is_one_device() -> None:
    assert [one.device_type for one in get_collectors({"device_type": "orange_pi", "interval": 1})] == ["orange_pi"]


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        ([], r"devices: found \[\], expected a list"),
        ("shelly", "devices: found 'shelly', expected a list"),
        (["shelly"], r"devices\[0\]: found 'shelly', expected device_type"),
        ([{"device_type": "lattepanda"}, {"device_type": "pi"}], r"devices\[1\]: device_type: found 'pi'"),
        ([{"device_type": "lattepanda", "name": 3}], r"devices\[0\]\.name: found 3"),
        ([{"device_type": "shelly", "shelly": {"host": 1}}], r"devices\[0\]: shelly\.host: expected `str`"),
        ([{"device_type": "lattepanda"}] * 2, "found lattepanda twice, expected a name of its own"),
    ],
)
def test_wrong_list_names_the_entry(devices: Any, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        get_collectors({"devices": devices})
    assert caught.value.code == Exit.CONFIG


def test_the_documented_snippet_works_in_the_folder_of_the_program(tmp_path: Path) -> None:
    code = "from collectors import get_collector; print(get_collector('jetson_orin', {}).device_type)"
    where = REPOSITORY / "apps" / "edgepower"
    done = subprocess.run([sys.executable, "-c", code], cwd=where, env=program_env(), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("jetson_orin\n", "")


@pytest.mark.parametrize("device_type", MODULES)
def test_no_collector_loads_what_only_another_needs(device_type: str) -> None:
    heavy = "{'smbus2', 'httpx', 'requests', 'asyncio', 'urllib.request', 'rich'} & set(sys.modules)"
    code = (
        f"import sys; from edgepower.collectors import get_collector;"
        f"get_collector({device_type!r}, {{'shelly': {{'host': 'plug'}}}}); print({heavy} or 'light')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=program_env(), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("light\n", "")


def test_energy_of_a_frame_comes_from_a_counter_only_where_it_is_fine_enough() -> None:
    assert energy_key("edge.lattepanda", "power_total_watts") == "energy_total_joules"
    assert energy_key("edge.lattepanda", "lattepanda_power_core_watts") == "lattepanda_energy_core_joules"
    assert energy_key("edge.shelly", "power_total_watts") is None


def test_example_of_a_device_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPOSITORY / "docs" / "HARDWARE.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "odroid.py").write_text(example)
    monkeypatch.setattr(edgepower.collectors, "__path__", [*edgepower.collectors.__path__, str(tmp_path)])
    monkeypatch.setitem(MODULES, "odroid", "odroid")
    odroid = get_collector("odroid", {}, Options(root=tmp_path))
    with pytest.raises(Absent, match="sensor_W"):
        odroid.get_metrics()
    watts = {"3-0040": "1.5", "3-0041": "0.25", "3-0044": "0.75", "3-0045": "0.5"}
    plant(tmp_path, {f"sys/bus/i2c/drivers/INA231/{at}/sensor_W": text for at, text in watts.items()})
    assert odroid.get_metrics() == {"power_gpu_watts": 0.75, "power_total_watts": 3.0}
    assert set(odroid.scopes) == set(odroid.get_metrics())


def test_every_device_has_a_row_in_the_page_of_hardware() -> None:
    page = (REPOSITORY / "docs" / "HARDWARE.md").read_text()
    rows = re.findall(r"^\|.*\| `(edge\.[\w*]+)` \|", page, re.MULTILINE)
    assert [kind for kind in MODULES if not any(fnmatchcase(f"edge.{kind}", row) for row in rows)] == []
