from __future__ import annotations

from pathlib import Path

from benchlab.host.thermal import ThermalZones
from support.edge_fixtures import plant

ZONES = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "45764\n",
    "sys/class/thermal/thermal_zone1/type": "bigcore-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "-1500\n",
    "sys/class/thermal/thermal_zone2/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone2/temp": "47000\n",
    "sys/class/thermal/thermal_zone10/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone10/temp": "48000\n",
    "sys/class/thermal/cooling_device0/type": "Fan\n",
}


def test_zones_by_type_in_degrees(tmp_path: Path) -> None:
    found = ThermalZones(plant(tmp_path, ZONES)).read()
    assert found == {"cpu-thermal": 45.764, "bigcore-thermal": -1.5, "cpu-thermal 2": 47.0, "cpu-thermal 3": 48.0}


def test_machine_without_zones_has_none(tmp_path: Path) -> None:
    assert ThermalZones(tmp_path).read() == {}


def test_zone_that_is_switched_off_or_says_nothing_is_left_out(tmp_path: Path) -> None:
    zones = ThermalZones(plant(tmp_path, ZONES))
    for content in ("-256000\n", "", "warm\n"):
        plant(tmp_path, {"sys/class/thermal/thermal_zone0/temp": content})
        assert "cpu-thermal" not in zones.read()
        assert zones.read()["bigcore-thermal"] == -1.5


def test_zones_that_are_gone_are_looked_for_again(tmp_path: Path) -> None:
    zones = ThermalZones(plant(tmp_path, ZONES))
    (tmp_path / "sys/class/thermal").rename(tmp_path / "away")
    assert zones.read() == {}
    (tmp_path / "away").rename(tmp_path / "sys/class/thermal")
    assert zones.read()["cpu-thermal"] == 45.764
