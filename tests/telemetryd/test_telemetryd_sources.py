from __future__ import annotations

import textwrap
from pathlib import Path
from time import sleep, time_ns
from typing import Any

import pytest

import telemetryd.sources
from benchlab.catalog import unknown_keys
from benchlab.daemon import Absent, Reading, Source
from benchlab.sim import LoadModel
from support.recorded_host import Machine
from telemetryd.sources import Options, discover
from telemetryd.sources.cpu import CpuSource
from telemetryd.sources.disk import DiskSource
from telemetryd.sources.memory import MemorySource
from telemetryd.sources.nic import NicSource


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


def options(root: Path = Path("/"), simulate: bool = False) -> Options:
    return Options(time_ns, 0.1, root, simulated=LoadModel() if simulate else None)


def values(readings: list[Reading]) -> dict[str | None, dict[str, Any]]:
    return {reading.dev: reading.kv for reading in readings}


def sampled(source: Source) -> list[Reading]:
    try:
        return list(source.sample())
    except Absent:
        return []


def all_unknown(source: Source) -> list[str]:
    return [key for reading in sampled(source) for key in unknown_keys(source.name, reading.kv.items())]


def test_every_key_of_every_source_is_in_the_catalog(machine: Machine) -> None:
    sources = [*discover(options(machine.root)), *discover(options(simulate=True))]
    assert {source.name for source in sources} >= {
        "cpu.psutil",
        "cpu.rapl",
        "disk.psutil",
        "gpu.nvml",
        "host.hwmon",
        "mem.psutil",
        "nic.psutil",
    }
    for source in sources:
        assert all_unknown(source) == []
    machine.second_later()
    sleep(0.1)
    for source in sources:
        assert all_unknown(source) == []


def test_simulation_adds_the_graphics_card_and_marks_nothing_else(machine: Machine) -> None:
    found = {source.name: sampled(source) for source in discover(options(machine.root, simulate=True))}
    marked = {name for name, readings in found.items() if any(reading.sim for reading in readings)}
    assert marked == {"gpu.nvml"}
    assert "gpu.nvml" not in {source.name for source in discover(options(machine.root))}


def test_cpu_reading_of_the_recorded_machine(machine: Machine) -> None:
    source = CpuSource(machine.root)
    (first,) = source.sample()
    assert "cpu_util" not in first.kv
    assert "ctx_switches_s" not in first.kv
    machine.second_later()
    (second,) = source.sample()
    assert second.kv["cpu_util"] == 27.5
    assert second.kv["cores"] == [
        {"core": 0, "util": 75.0, "freq_mhz": 4100},
        {"core": 1, "util": 10.0, "freq_mhz": 900},
        {"core": 2, "freq_mhz": 1600},
    ]
    assert second.kv["freq_mhz"] == 2200.0
    assert (second.kv["load1"], second.kv["load5"], second.kv["load15"]) == (0.55, 0.49, 0.40)


def test_cpu_without_load_averages_is_still_read(machine: Machine) -> None:
    machine.remove("proc/loadavg")
    (reading,) = CpuSource(machine.root).sample()
    assert "load1" not in reading.kv
    assert "freq_mhz" in reading.kv


def test_memory_reading_of_the_recorded_machine(machine: Machine) -> None:
    (reading,) = MemorySource(machine.root).sample()
    assert reading.kv["mem_used"] == 4_000_000 * 1024
    assert reading.kv["mem_util"] == 25.0
    assert reading.kv["swap_used"] == 1_000_000 * 1024


def test_memory_that_is_not_told_is_absent_not_zero(machine: Machine) -> None:
    machine.write("proc/meminfo", b"MemTotal: 1000 kB\nMemFree: 400 kB\n")
    (reading,) = MemorySource(machine.root).sample()
    assert set(reading.kv) == {"mem_total", "mem_free"}


def test_interfaces_are_events_of_their_own(machine: Machine) -> None:
    source = NicSource(machine.root)
    assert set(values(source.sample())) == {"eth0", "wlan0"}
    machine.second_later()
    eth0 = values(source.sample())["eth0"]
    assert eth0["rx_bytes"] == 1_125_000
    assert eth0["rx_bytes_s"] > 0
    assert "tx_bytes_s" not in eth0  # its counter was reset


def test_disks_are_events_of_their_own(machine: Machine) -> None:
    source = DiskSource(machine.root)
    first = values(source.sample())
    assert set(first) == {"nvme0n1", "sda"}
    assert set(first["sda"]) == {"in_flight", "read_bytes", "write_bytes"}
    machine.second_later()
    nvme = values(source.sample())["nvme0n1"]
    assert nvme["read_wait_ms"] == 0.5
    assert "write_wait_ms" not in nvme


@pytest.mark.parametrize(
    ("kind", "file", "header"),
    [
        (NicSource, "proc/net/dev", b"header\nheader\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"),
        (DiskSource, "proc/diskstats", b""),
    ],
)
def test_host_without_any_device_of_a_kind_says_so(machine: Machine, kind: Any, file: str, header: bytes) -> None:
    machine.write(file, header)
    with pytest.raises(Absent, match=r"has (carried a packet|served a request)"):
        kind(machine.root).sample()


def test_source_is_dropped_in_as_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dropped.py").write_text(
        textwrap.dedent("""
        from benchlab.daemon import Reading

        class Thermometer:
            name = "test.thermometer"

            def sample(self):
                return [Reading({"temp_c": 21.5})]

        def sources(options):
            return [Thermometer()]
        """)
    )
    monkeypatch.setattr(telemetryd.sources, "__path__", [*telemetryd.sources.__path__, str(tmp_path)])
    (dropped,) = [source for source in discover(options()) if source.name == "test.thermometer"]
    assert [reading.kv for reading in dropped.sample()] == [{"temp_c": 21.5}]
