"""/stats and its relatives: the documented form key by key, with the values of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchlab import __version__
from benchlab.cli import free_port
from benchlab.daemon import Absent
from benchlab.sim import NS, LoadModel
from pimon.api.history import History
from pimon.api.server import Server
from pimon.api.stats import stats_of
from pimon.simulated import SimulatedSampler
from pimon.snapshot import Clock, Core, Hardware, Rail, SystemSample
from support.pimon_api import HARDWARE, PI4, FakeSampler, get, served

EXAMPLE = {
    "cpu_temp": 45.8,
    "cpu_freq": 1500.0,
    "cpu_usage": 12.5,
    "per_cpu_usage": [10.5, 14.2, 11.8, 13.5],
    "memory": {"total": 8589934592, "available": 6442450944, "used": 2147483648, "percent": 25.0},
    "swap": {"total": 1073741824, "used": 268435456, "free": 805306368, "percent": 25.0},
    "disk": {"total": 34359738368, "used": 8589934592, "free": 23622320128, "percent": 26.7},
    "disk_io": {"read_count": 12345, "write_count": 67890, "read_bytes": 123456789, "write_bytes": 987654321},
    "uptime": 86400.5,
    "load_avg": [0.5, 0.7, 0.9],
    "timestamp": 1646092800.0,
    "gpu": {"temperature": 44.2, "memory": 134217728, "v3d_clock": 500000992},
    "power": {"core_voltage": 1.35, "under_voltage": True, "throttled": True, "freq_capped": False},
    "clocks": {"arm": 1500000000, "core": 500000000, "sdram": 400000000},
    "network": {
        "eth0": {
            "bytes_sent": 12345678,
            "bytes_recv": 87654321,
            "packets_sent": 1234,
            "packets_recv": 5678,
            "errin": 1,
            "errout": 2,
            "dropin": 3,
            "dropout": 4,
        },
        "wlan0": {
            "bytes_sent": 1234567,
            "bytes_recv": 7654321,
            "packets_sent": 12,
            "packets_recv": 56,
            "errin": 0,
            "errout": 0,
            "dropin": 0,
            "dropout": 0,
            "signal_strength": -58,
        },
        "active_connections": 12,
    },
    "hardware": {
        "model": "Raspberry Pi 4 Model B Rev 1.2",
        "serial": "10000000abcdef",
        "firmware": "Sep 3 2020 13:11:43",
        "usb_devices": 3,
    },
}
"""The documented answer; values differ from the document's where a mix-up of two keys would not show otherwise."""


@pytest.fixture
def pi() -> Iterator[Server]:
    with served(FakeSampler()) as server:
        yield server


def test_a_pi_answers_the_documented_form_key_by_key_and_in_its_order() -> None:
    found = stats_of(PI4, HARDWARE, 1646092800.0)
    assert found == EXAMPLE
    assert list(found) == list(EXAMPLE)


def kinds(value: Any) -> Any:
    """Return the types of a JSON value, all the way down."""
    if isinstance(value, dict):
        return {key: kinds(each) for key, each in value.items()}
    return [kinds(each) for each in value] if isinstance(value, list) else type(value)


def test_types_and_nesting_arrive_at_the_client(pi: Server) -> None:
    status, found = get(pi.port, "/stats")
    assert status == 200
    assert kinds(found) == kinds(EXAMPLE)


def test_a_simulated_pi_answers_all_of_the_documented_form() -> None:
    sampler = SimulatedSampler(LoadModel(), lambda: 1_763_800_600 * NS, 1_763_800_000 * NS, 10)
    assert kinds(stats_of(sampler.system(), sampler.hardware, 1.0)) == kinds(EXAMPLE)


def test_a_host_that_tells_nothing_has_nulls_and_empty_objects_and_never_a_zero() -> None:
    assert stats_of(SystemSample(), Hardware(), 7.0) == {
        "cpu_temp": None,
        "cpu_freq": None,
        "cpu_usage": None,
        "per_cpu_usage": [],
        "memory": {},
        "swap": {},
        "disk": {},
        "disk_io": {},
        "uptime": None,
        "load_avg": None,
        "timestamp": 7.0,
        "gpu": {},
        "power": {},
        "clocks": {},
        "network": {},
        "hardware": {},
    }


def test_a_core_without_a_share_keeps_its_place() -> None:
    system = SystemSample(cores=(Core(2, 5.0), Core(0, None), Core(1, 7.0)))
    assert stats_of(system, Hardware(), 0.0)["per_cpu_usage"] == [None, 7.0, 5.0]


def test_a_pi_5_tells_the_core_voltage_that_its_power_chip_measures() -> None:
    system = SystemSample(rails=(Rail("3V3_SYS", 3.3), Rail("VDD_CORE", 0.72, 1.1, 0.8)), clocks=(Clock("v3d", 9),))
    found = stats_of(system, Hardware(), 0.0)
    assert (found["power"], found["gpu"], found["clocks"]) == ({"core_voltage": 0.72}, {"v3d_clock": 9}, {})


@pytest.mark.parametrize(
    ("flags", "held"),
    [
        (0x0, (False, False, False)),
        (0x1, (True, False, False)),
        (0x2, (False, False, True)),
        (0x4, (False, True, False)),
        (0x8, (False, False, False)),
        (0xF0000, (False, False, False)),
    ],
    ids=["none", "voltage", "capped", "throttled", "soft limit", "only since boot"],
)
def test_power_flags_are_those_of_now(flags: int, held: tuple[bool, bool, bool]) -> None:
    power = stats_of(SystemSample(throttled_flags=flags), Hardware(), 0.0)["power"]
    assert power == dict(zip(("under_voltage", "throttled", "freq_capped"), held, strict=True))


def test_no_swap_is_nothing_used_of_nothing() -> None:
    found = stats_of(SystemSample(swap_total_b=0, swap_used_b=0), Hardware(), 0.0)
    assert found["swap"] == {"total": 0, "used": 0, "free": 0, "percent": 0.0}


def test_fields_picks_keys_and_passes_over_those_it_does_not_know(pi: Server) -> None:
    status, found = get(pi.port, "/stats?fields=memory,cpu_temp,nonsense")
    assert (status, list(found)) == (200, ["cpu_temp", "memory"])


def test_health_has_the_documented_fields_and_those_of_the_first_server(pi: Server) -> None:
    status, found = get(pi.port, "/health")
    assert status == 200
    assert found.keys() == {"status", "uptime", "memory_usage", "timestamp", "version"}
    assert (found["status"], found["uptime"], found["memory_usage"]) == ("healthy", 86400.5, 25.0)
    assert found["version"] == __version__


def test_health_is_an_error_when_no_sample_can_be_taken(caplog: pytest.LogCaptureFixture) -> None:
    sampler = FakeSampler()
    sampler.error = RuntimeError("the sensor melted")
    with served(sampler) as server:
        status, found = get(server.port, "/health")
        assert (status, found["status"], found["error"]) == (500, "unhealthy", "the sensor melted")
        sampler.error = None
        assert get(server.port, "/health")[0] == 200
    assert "the sensor melted" in caplog.text


def test_interfaces_and_devices_tell_more_than_stats(pi: Server) -> None:
    _, found = get(pi.port, "/network/interfaces")
    assert found["interfaces"]["eth0"] == {
        **EXAMPLE["network"]["eth0"],  # type: ignore[index]
        "bytes_sent_per_s": 50.0,
        "bytes_recv_per_s": 100.0,
    }
    _, found = get(pi.port, "/storage/devices")
    assert found["devices"][1] == {
        "device": "/dev/mmcblk0p2",
        "mountpoint": "/",
        "filesystem": "ext4",
        **EXAMPLE["disk"],  # type: ignore[dict-item]
    }
    assert found["disk_io"] == EXAMPLE["disk_io"]
    assert found["disks"]["mmcblk0"]["read_bytes_per_s"] == 10.2
    assert found["disks"]["sda"] == {"read_count": 345, "write_count": 890, "read_bytes": 456789, "write_bytes": 654321}


@pytest.mark.parametrize(
    ("query", "pids"),
    [
        ("", [900, 50, 700, 1]),
        ("?sort=cpu&limit=2", [900, 50]),
        ("?sort=memory", [900, 700, 1, 50]),
        ("?sort=name", [50, 900, 1, 700]),
        ("?sort=pid&limit=3", [1, 50, 700]),
        ("?sort=time", [1, 900, 50, 700]),
        ("?limit=100", [900, 50, 700, 1]),
    ],
)
def test_processes_are_sorted_and_no_more_than_asked_for(query: str, pids: list[int], pi: Server) -> None:
    status, found = get(pi.port, f"/processes{query}")
    assert (status, [each["pid"] for each in found["processes"]]) == (200, pids)


def test_a_process_has_the_documented_keys_and_its_command_line_never_leaves_the_host(pi: Server) -> None:
    _, found = get(pi.port, "/processes?sort=name&limit=4")
    last = found["processes"][-1]
    assert last.keys() == {"pid", "name", "user", "cpu_percent", "memory_percent", "running_time"}
    assert (last["name"], last["user"], last["memory_percent"]) == ("Xorg", "pi", 2.1)
    assert last["running_time"] == pytest.approx(found["timestamp"] - 1500.0, abs=0.2)
    assert found["processes"][0]["user"] is None
    assert "s3cret" not in str(found)


def test_processes_that_cannot_be_read_are_503_with_the_reason() -> None:
    sampler = FakeSampler()
    sampler.error = Absent("/proc: no such directory", "mount it")
    with served(sampler) as server:
        assert get(server.port, "/processes") == (503, {"error": f"the processes cannot be read: {sampler.error}"})


def test_config_tells_how_it_answers() -> None:
    with served(FakeSampler(), port=free_port(), cache_seconds=3, rate_limit=9, debug=True) as server:
        _, found = get(server.port, "/system/config")
    assert found["is_raspberry_pi"] is True
    assert found["server"] == {
        "port": server.port,
        "host": "127.0.0.1",
        "debug_mode": True,
        "cache_seconds": 3.0,
        "rate_limiting": {"enabled": True, "requests": 9, "window": 60},
        "compression": {"enabled": True, "min_size": 500},
    }


def test_history_is_what_was_sampled_with_its_newest_last_and_bounded() -> None:
    history = History(capacity=3)
    for second in range(6):
        history.add(float(second), {**EXAMPLE, "timestamp": 100.0 + second, "disk": {}, "load_avg": None})
    history.add(5.5, {**EXAMPLE, "timestamp": 999.0})  # too close to the one before
    assert [row["timestamp"] for row in history.newest(99)] == [103.0, 104.0, 105.0]
    assert history.newest(1) == [
        {
            "timestamp": 105.0,
            "cpu_temp": 45.8,
            "cpu_freq": 1500.0,
            "cpu_usage": 12.5,
            "memory_percent": 25.0,
            "swap_percent": 25.0,
            "disk_percent": None,
            "load1": None,
        }
    ]


def test_history_has_the_samples_of_whoever_takes_some() -> None:
    with served(FakeSampler()) as server:
        assert get(server.port, "/metrics/history")[1]["samples"] == []
        server.offer(PI4)
        _, found = get(server.port, "/metrics/history?limit=5")
    assert [row["cpu_temp"] for row in found["samples"]] == [45.8]


def test_what_is_made_up_says_so_everywhere() -> None:
    with served(FakeSampler(is_simulated=True)) as server:
        for path in ("/stats", "/health", "/processes", "/network/interfaces", "/storage/devices", "/metrics/history"):
            assert get(server.port, path)[1]["sim"] is True, path
