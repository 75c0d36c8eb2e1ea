from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchlab.catalog import energy_key, unknown_keys
from benchlab.catalog.power_tree import METERS
from benchlab.daemon import Absent, Reading
from benchlab.daemon.source import describe, take
from support.recorded_sysfs import FIXTURES, RecordedRapl, folder_for_all, nobody
from telemetryd.sources import Options, discover
from telemetryd.sources.rapl import RaplSource

NS = 1_000_000_000
PATIENCE_S = 30.0

Start = Callable[..., Any]
Run = Callable[..., Any]


class Host:
    """A recorded powercap tree under telemetryd's source, and the clock of both."""

    def __init__(self, root: Path, machine: str) -> None:
        self.tree = RecordedRapl(root, machine)
        self.now_ns = 7_000 * NS
        self.source = RaplSource(lambda: self.now_ns, root, 0.1)

    def later(self, **joules: float) -> dict[str, Any]:
        self.now_ns += NS // 10
        self.tree.draw(**joules)
        (event,) = take(self.source, lambda: self.now_ns)
        assert unknown_keys(event.source, event.kv.items()) == []
        return event.kv


def test_client_in_watts_joules_and_zones(tmp_path: Path) -> None:
    client = Host(tmp_path, "intel_client")
    first = client.later()
    assert first["package_j"] == 0.0
    assert "package_w" not in first
    kv = client.later(p0=2.0, p0_0=1.25, p0_1=0.125, p0_2=0.25, p1=3.5)
    assert {key: value for key, value in kv.items() if key != "zones"} == {
        "package_w": 20.0,
        "package_j": 2.0,
        "core_w": 12.5,
        "core_j": 1.25,
        "uncore_w": 1.25,
        "uncore_j": 0.125,
        "psys_w": 35.0,
        "psys_j": 3.5,
    }
    assert kv["zones"] == [
        {"zone": "package-0", "path": "intel-rapl:0", "counted": True, "power_w": 20.0, "energy_j": 2.0},
        {"zone": "core", "path": "intel-rapl:0:0", "counted": True, "power_w": 12.5, "energy_j": 1.25},
        {"zone": "uncore", "path": "intel-rapl:0:1", "counted": True, "power_w": 1.25, "energy_j": 0.125},
        {"zone": "dram", "path": "intel-rapl:0:2", "counted": False, "power_w": 2.5, "energy_j": 0.25},
        {"zone": "psys", "path": "intel-rapl:1", "counted": True, "power_w": 35.0, "energy_j": 3.5},
    ]


@pytest.mark.parametrize("machine", sorted(path.stem for path in (FIXTURES / "rapl").glob("*.json")))
def test_every_machine_reports_catalogued_keys_and_never_zero_watts(tmp_path: Path, machine: str) -> None:
    host = Host(tmp_path, machine)
    for path in (host.tree.sys / "class/powercap").glob("*/energy_uj"):
        path.chmod(0o444)
    for _ in range(5):
        kv = host.later()
        found = [kv, *kv["zones"]]
        assert not [key for row in found for key in row if key.endswith("_w")]  # no counter has moved


def test_powers_that_are_reported_together_and_added_up_are_a_cut(tmp_path: Path) -> None:
    """Package and dram are the only two totals side by side: whoever adds all others adds parts to their whole."""
    server = Host(tmp_path, "intel_server_two_sockets")
    server.later()
    kv = server.later(p0=10.0, p0_0=1.0, p1=10.0, p1_0=1.0)
    powers = [f"cpu.rapl:{key}" for key in kv if key.endswith("_w")]
    assert powers == ["cpu.rapl:package_w", "cpu.rapl:dram_w"]
    assert METERS.clash(powers) is None
    assert energy_key("cpu.rapl", "package_w") in kv


def test_reading_is_stamped_at_its_counters_and_says_over_what_power_is_averaged(tmp_path: Path) -> None:
    client = Host(tmp_path, "intel_client")
    (reading,) = client.source.sample()
    assert isinstance(reading, Reading) and (reading.ts_ns, reading.unc_ns) == (client.now_ns, 0)
    told = {hz: describe(RaplSource(time.time_ns, tmp_path, 1 / hz), 1.0) for hz in (1000, 10, 2, 0.01)}
    assert {hz: row["window_ms"] for hz, row in told.items()} == {1000: 100.0, 10: 100.0, 2: 500.0, 0.01: 5000.0}
    assert {row["stamping"] for row in told.values()} == {"end"}
    assert told[0.01]["period_ms"] == 5000.0  # or the smallest counter would wrap unseen


def test_permission_is_absent_with_the_rule_that_mends_it() -> None:
    with folder_for_all() as folder:
        host = Host(folder, "permission_denied")
        with nobody(), pytest.raises(Absent) as caught:
            host.later()
        assert "70-benchlab-rapl.rules" in caught.value.fix


def test_switched_off_it_is_not_even_looked_for(tmp_path: Path) -> None:
    on, off = (Options(time.time_ns, 0.1, tmp_path, enable_rapl=enabled) for enabled in (True, False))
    assert "cpu.rapl" in {source.name for source in discover(on)}
    assert "cpu.rapl" not in {source.name for source in discover(off)}


def test_configuration_switches_it_off(run: Run, tmp_path: Path) -> None:
    RecordedRapl(tmp_path / "root", "intel_client")
    words = ("telemetryd", "--once", "--json", "--root", str(tmp_path / "root"))
    assert "cpu.rapl" in run(*words).stdout
    assert "cpu.rapl" not in run(*words, BENCHLAB_CPU_ENABLE_RAPL="false").stdout


def test_daemon_follows_counters_that_are_rewritten_while_it_runs(start: Start, tmp_path: Path) -> None:
    tree = RecordedRapl(tmp_path / "root", "intel_server_two_sockets")
    data = tmp_path / "data"
    start("telemetryd", "--root", str(tree.root), "--session", "s", "--data-root", str(data), "--source", "cpu.rapl")
    raw = data / "sessions/s/raw/telemetry.jsonl"
    drawn_j, counted_j, give_up = 0.0, 0.0, time.monotonic() + PATIENCE_S
    while drawn_j < 40.0 or counted_j < drawn_j:
        assert time.monotonic() < give_up, f"{counted_j} J of {drawn_j} J counted"
        events = rapl_events(raw)
        if events and drawn_j < 40.0:
            tree.draw(p0=2.0, p0_0=0.5, p1=3.0, p1_0=0.5)
            drawn_j += 5.0
        counted_j = events[-1]["kv"]["package_j"] if events else 0.0
        time.sleep(0.1)
    joules = [event["kv"]["package_j"] for event in events]
    assert joules == sorted(joules)
    assert counted_j == pytest.approx(drawn_j)
    assert all(event["kv"].get("package_w", 1.0) > 0 for event in events)
    assert any("package_w" in event["kv"] for event in events)


def rapl_events(raw: Path) -> list[dict[str, Any]]:
    if not raw.exists():
        return []
    whole, _, _ = raw.read_bytes().rpartition(b"\n")
    events = [msgspec.json.decode(line) for line in whole.splitlines()]
    return [event for event in events if event["source"] == "cpu.rapl"]
