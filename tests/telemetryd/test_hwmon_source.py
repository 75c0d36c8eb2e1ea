from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchlab.catalog import SIGNALS, unknown_keys
from benchlab.catalog.power_tree import METERS
from benchlab.daemon import Absent
from benchlab.daemon.source import describe, lane_of
from support.recorded_sysfs import FIXTURES, RecordedSysfs
from telemetryd.sources.hwmon import HwmonSource


def test_chips_are_events_of_their_own_with_a_row_a_sensor(tmp_path: Path) -> None:
    RecordedSysfs(tmp_path, "hwmon/desktop")
    found: dict[str | None, Any] = {reading.dev: reading.kv for reading in HwmonSource(tmp_path).sample()}
    assert found["k10temp@0000:00:18.3"] == {
        "sensors": [
            {"sensor": "temp1", "label": "Tctl", "temp_c": 52.125},
            {"sensor": "temp3", "label": "Tccd1", "temp_c": 48.5},
        ]
    }
    assert {"sensor": "power1", "label": "PPT", "power_w": 31.0} in found["amdgpu@0000:0b:00.0"]["sensors"]


@pytest.mark.parametrize("machine", sorted(path.stem for path in (FIXTURES / "hwmon").glob("*.json")))
def test_every_key_is_in_the_catalog(tmp_path: Path, machine: str) -> None:
    RecordedSysfs(tmp_path, f"hwmon/{machine}")
    readings = HwmonSource(tmp_path).sample()
    assert readings
    assert [key for reading in readings for key in unknown_keys("host.hwmon", reading.kv.items())] == []


def test_power_of_an_unknown_place_has_no_place_in_the_tree_and_is_no_rail() -> None:
    assert not [meter for meter in METERS.meters if meter.startswith("host.hwmon")]
    (power,) = [signal for signal in SIGNALS if signal.source == "host.hwmon" and signal.unit == "W"]
    assert power.prometheus == "benchlab_hwmon_power_watts"


def test_slow_chips_have_a_thread_of_their_own_and_are_read_once_a_second(tmp_path: Path) -> None:
    source = HwmonSource(tmp_path, 0.1)
    assert lane_of(source) is None
    assert describe(source, 0.1)["period_ms"] == 1000.0
    assert describe(HwmonSource(tmp_path, 5.0), 5.0)["period_ms"] == 5000.0


def test_host_without_chips_is_absent(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        HwmonSource(tmp_path).sample()
