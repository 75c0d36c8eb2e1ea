"""What /metrics says: which series, with which labels, how long; and that a scrape touches no device."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchlab.catalog import lookup
from benchlab.daemon import Absent, Transient
from edgepower.collectors import BaseCollector, Options, get_collector
from edgepower.live import Live
from edgepower.settings import Settings, settings_of
from edgepower.source import EdgeSource
from support.edge_exporter import READING, FakeDevice
from support.fake_i2c import ina260

Component = Callable[[str, str], str]


class Exposed:
    """A live view whose clock the test moves, and the sources that write it."""

    def __init__(self, *devices: BaseCollector, hostname: str = "edge-01", **document: Any) -> None:
        self.now_s = 100.0
        self.found: list[set[str]] = []
        self.settings: Settings = settings_of(document)
        self.live = Live(hostname, clock=lambda: self.now_s)
        self.sources = [
            EdgeSource(device, self.live, lambda names: self.found.append(set(names)), 1.0) for device in devices
        ]

    def text(self) -> str:
        return self.live.render(self.settings, "/srv/config.yaml").decode()

    def series(self) -> dict[str, float]:
        lines = [line for line in self.text().splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_what_is_enabled_is_shown_with_type_and_host_of_the_device_and_help_from_the_catalog() -> None:
    shown = Exposed(FakeDevice(), metrics={**dict.fromkeys(READING, True), "power_gpu_watts": False})
    shown.sources[0].sample()
    labels = '{device_type="jetson_orin",hostname="edge-01"}'
    assert shown.series() == {
        f"power_total_watts{labels}": 7.5,
        f"jetson_temp_gpu_celsius{labels}": 41.0,
        f"jetson_gpu_usage_percent{labels}": 12.0,
        f"edge_device_up{labels}": 1.0,
    }
    signal = lookup("edge.jetson_orin", "power_total_watts")
    assert signal is not None
    assert f"# HELP power_total_watts {signal.help}\n# TYPE power_total_watts gauge\n" in shown.text()
    assert shown.found == [set(READING)]


def test_the_info_metric_takes_the_labels_of_the_others() -> None:
    shown = Exposed(FakeDevice(), FakeDevice("shelly", "desk", power_total_watts=3.0), info_metric=True)
    for source in shown.sources:
        source.sample()
    assert shown.series() == {
        "power_total_watts": 7.5,
        'power_total_watts{dev="desk"}': 3.0,
        "power_gpu_watts": 2.25,
        "jetson_temp_gpu_celsius": 41.0,
        'edge_device_info{device_type="jetson_orin",hostname="edge-01"}': 1.0,
        'edge_device_info{device_type="shelly",hostname="edge-01",dev="desk"}': 1.0,
        'edge_device_up{device_type="jetson_orin",hostname="edge-01"}': 1.0,
        'edge_device_up{device_type="shelly",hostname="edge-01",dev="desk"}': 1.0,
    }
    assert shown.text().count("# TYPE power_total_watts gauge") == 1


def test_labels_with_quotes_and_newlines_stay_labels() -> None:
    shown = Exposed(FakeDevice("shelly", 'a"b\\c\nd', power_total_watts=3.0))
    shown.sources[0].sample()
    assert 'dev="a\\"b\\\\c\\nd"} 3.0\n' in shown.text()


def test_nothing_to_show_says_how_to_show_something() -> None:
    shown = Exposed(FakeDevice(), metrics=dict.fromkeys(READING, False), reload_port=9301)
    shown.sources[0].sample()
    text = shown.text()
    assert list(shown.series()) == ['edge_device_up{device_type="jetson_orin",hostname="edge-01"}']
    for hint in ("/metrics/list", "port 9301", "/metrics/enable", "/srv/config.yaml", "/reload"):
        assert hint in text.partition("# HELP")[0]
    assert all(line.startswith("#") for line in text.partition("# HELP")[0].splitlines())


def test_series_vanish_three_intervals_after_the_last_reading_and_come_back() -> None:
    device = FakeDevice()
    shown = Exposed(device)
    up = 'edge_device_up{device_type="jetson_orin",hostname="edge-01"}'
    assert shown.series() == {up: 0.0}
    shown.sources[0].sample()
    shown.now_s += 3.0
    assert len(shown.series()) == 4
    shown.now_s += 0.1
    assert shown.series() == {up: 0.0}
    assert shown.live.state(shown.live.devices[0]) == "down"
    shown.sources[0].sample()
    assert len(shown.series()) == 4


def test_a_device_that_is_gone_vanishes_at_once_one_that_is_slow_when_it_is_stale() -> None:
    device = FakeDevice()
    shown = Exposed(device)
    shown.sources[0].sample()
    device.error = Transient("no answer")
    with pytest.raises(Transient):
        shown.sources[0].sample()
    assert len(shown.series()) == 4 and shown.series()[_up()] == 0.0
    device.error = Absent("no such bus", "modprobe i2c-dev")
    with pytest.raises(Absent):
        shown.sources[0].sample()
    assert shown.series() == {_up(): 0.0}
    device.error = None
    shown.sources[0].sample()
    assert shown.series()[_up()] == 1.0 and len(shown.series()) == 4


def _up() -> str:
    return 'edge_device_up{device_type="jetson_orin",hostname="edge-01"}'


def test_a_metric_that_the_device_no_longer_tells_vanishes() -> None:
    device = FakeDevice()
    shown = Exposed(device)
    shown.sources[0].sample()
    del device.values["power_gpu_watts"]
    shown.sources[0].sample()
    assert not [name for name in shown.series() if name.startswith("power_gpu")]


def test_a_scrape_reads_no_device() -> None:
    device = FakeDevice()
    shown = Exposed(device)
    shown.sources[0].sample()
    for _ in range(50):
        shown.text()
    assert device.reads == 1


def test_what_a_simulator_makes_up_is_marked() -> None:
    device = FakeDevice()
    device.is_simulated = True
    shown = Exposed(device)
    (reading,) = shown.sources[0].sample()
    assert reading.sim
    assert shown.series()['edge_device_simulated{device_type="jetson_orin",hostname="edge-01"}'] == 1.0
    assert "simulated" not in Exposed(FakeDevice()).text()


def test_the_log_gets_every_metric_whatever_is_enabled() -> None:
    shown = Exposed(FakeDevice(dev="desk"), metrics={})
    (reading,) = shown.sources[0].sample()
    assert (reading.kv, reading.dev, reading.ts_ns) == (READING, "desk", None)
    assert len(shown.series()) == 1


def test_the_devices_own_stamp_is_kept_and_a_repetition_is_no_reading() -> None:
    device = FakeDevice()
    device.stamped(1000)
    shown = Exposed(device)
    (reading,) = shown.sources[0].sample()
    assert (reading.ts_ns, reading.unc_ns, reading.cal) == (1000, 5, {"rtt_ns": 10})
    shown.now_s += 3.5
    assert shown.sources[0].sample() == []
    assert shown.series() == {_up(): 0.0}  # asked, but nothing new was measured
    device.stamped(2000)
    assert len(shown.sources[0].sample()) == 1


def test_the_log_is_told_what_the_total_covers_and_not_again_when_it_is_missing_for_once() -> None:
    device = FakeDevice()
    device.identity = {"model": "board"}
    (source,) = Exposed(device).sources
    assert source.identity == {"model": "board"}
    device.scopes = {"power_total_watts": "module"}
    source.sample()
    device.scopes = {}
    source.sample()
    assert source.identity == {"model": "board", "total_scope": "module"}
    device.scopes = {"power_total_watts": "board_input"}
    source.sample()
    assert source.identity["total_scope"] == "board_input"


def test_a_device_that_may_be_asked_less_often_has_a_period_of_its_own() -> None:
    device = FakeDevice()
    device.min_period_s = 5.0
    shown = Exposed(device)
    assert shown.sources[0].period_s == 5.0
    shown.sources[0].sample()
    shown.now_s += 14.0
    assert len(shown.series()) == 4


def test_a_device_that_must_be_asked_more_often_is() -> None:
    device = FakeDevice()
    device.max_period_s = 0.25
    assert Exposed(device).sources[0].period_s == 0.25


def test_an_ina260_on_i2c_reaches_metrics_and_the_log(tmp_path: Path) -> None:
    options = Options(root=tmp_path, open_bus=lambda number: ina260(5.1, 1.0))
    shown = Exposed(get_collector("raspberry_pi", {}, options))
    (reading,) = shown.sources[0].sample()
    assert reading.kv["power_total_watts"] == pytest.approx(5.1)
    assert reading.ts_ns is not None
    assert shown.series()['power_total_watts{device_type="raspberry_pi",hostname="edge-01"}'] == pytest.approx(5.1)


def test_energies_are_counters() -> None:
    shown = Exposed(FakeDevice("shelly", "desk", energy_total_joules=12.0), discovery="enabled")
    shown.sources[0].sample()
    assert "# TYPE energy_total_joules counter\nenergy_total_joules{" in shown.text()


def test_promtool_has_nothing_to_say_but_about_the_seeds_names(component: Component) -> None:
    promtool = component("promtool", "prometheus")
    shown = Exposed(FakeDevice(), discovery="enabled", info_metric=True)
    shown.sources[0].sample()
    done = subprocess.run([promtool, "check", "metrics"], input=shown.text(), capture_output=True, text=True)
    told = (done.stdout + done.stderr).splitlines()
    # the seed counts in percent; the base unit would be a ratio
    assert [line for line in told if not line.startswith("jetson_gpu_usage_percent ")] == []
