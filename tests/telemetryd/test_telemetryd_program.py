"""The program as an operator starts it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.recorded_host import RECORDED

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


def rows(text: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in text.splitlines()]


def lines(path: Path) -> list[dict[str, Any]]:
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [msgspec.json.decode(line) for line in whole.splitlines()]


def wait_for(path: Path, source: str, count: int) -> None:
    give_up = time.monotonic() + 20.0
    while not path.exists() or sum(row["source"] == source for row in lines(path)) < count:
        assert time.monotonic() < give_up, f"no {count} lines of {source} in {path}"
        time.sleep(0.05)


def test_once_shows_the_host_and_the_simulated_card_as_events(run: Run, tmp_path: Path) -> None:
    done = run("telemetryd", "--once", "--json", "--simulate", "--data-root", str(tmp_path / "data"))
    assert done.returncode == 0
    events = {row["source"]: row for row in rows(done.stdout)}
    assert {"cpu.psutil", "mem.psutil", "gpu.nvml"} <= set(events)
    assert events["gpu.nvml"]["sim"] is True
    assert not any("sim" in row for name, row in events.items() if name != "gpu.nvml")
    assert 0.0 <= events["cpu.psutil"]["kv"]["cpu_util"] <= 100.0
    assert not (tmp_path / "data").exists()


def test_recorded_machine_is_measured_in_place_of_this_one(run: Run) -> None:
    done = run("telemetryd", "--once", "--json", "--root", str(RECORDED / "before"))
    assert done.returncode == 0
    devices = {(row["source"], row.get("dev")): row["kv"] for row in rows(done.stdout) if row["source"] != "meta"}
    assert set(devices) == {
        ("cpu.psutil", None),
        ("mem.psutil", None),
        ("nic.psutil", "eth0"),
        ("nic.psutil", "wlan0"),
        ("disk.psutil", "nvme0n1"),
        ("disk.psutil", "sda"),
    }
    assert devices["mem.psutil", None]["mem_total"] == 16_000_000 * 1024
    assert "cpu_util" not in devices["cpu.psutil", None]  # its counters stand still


def test_host_with_nothing_to_read_exits_4_and_says_why(run: Run, tmp_path: Path) -> None:
    done = run("telemetryd", "--once", "--json", "--root", str(tmp_path))
    assert done.returncode == 4
    reasons = {row["kv"]["which"]: row["kv"]["reason"] for row in rows(done.stdout)}
    assert reasons["cpu.psutil"] == f"{tmp_path}/proc/stat: No such file or directory"
    assert set(reasons) == {"cpu.psutil", "cpu.rapl", "disk.psutil", "host.hwmon", "mem.psutil", "nic.psutil"}


def test_only_the_sources_asked_for_are_taken(run: Run) -> None:
    done = run("telemetryd", "--once", "--json", "--source", "mem.psutil", "--source", "cpu.psutil")
    assert {row["source"] for row in rows(done.stdout)} == {"mem.psutil", "cpu.psutil"}


@pytest.mark.parametrize(
    "flags",
    [
        ("--source", "gpu.nvml"),
        ("--hz", "0"),
        ("--hz", "fast"),
        ("--device-index", "-1"),
        ("--simulate", "--load-step-s", "0"),
        ("--stream", "../evil"),
    ],
)
def test_flag_that_makes_no_sense_is_a_usage_error_and_leaves_no_session(
    run: Run, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    done = run("telemetryd", "--data-root", str(tmp_path), *flags)
    assert done.returncode == 2
    assert flags[-2].lstrip("-") in done.stderr
    assert not (tmp_path / "sessions").exists()


def test_recording_of_a_host_with_a_simulated_card(start: Start, tmp_path: Path) -> None:
    daemon = start("telemetryd", "--simulate", "--session", "dev", "--hz", "20", "--data-root", str(tmp_path))
    raw = tmp_path / "sessions/dev/raw/telemetry.jsonl"
    wait_for(raw, "gpu.nvml", 20)
    wait_for(raw, "cpu.psutil", 20)
    asked = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(10.0) == 0
    assert time.monotonic() - asked < 2.0
    events = lines(raw)
    assert events[0]["kv"]["event"] == "start"
    assert events[0]["kv"]["disorder_ms"] == 50
    assert events[0]["kv"]["period_ms"] == 50.0
    assert {row["source"] for row in events[0]["kv"]["sources"]} >= {"cpu.psutil", "mem.psutil", "gpu.nvml"}
    assert events[-1]["kv"] == {"event": "stop"}
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert {event["source"] for event in events if event.get("sim")} == {"gpu.nvml"}


def test_second_daemon_on_a_stream_is_refused_and_another_stream_is_not(start: Start, run: Run, tmp_path: Path) -> None:
    base = ("--session", "dev", "--data-root", str(tmp_path))
    daemon = start("telemetryd", *base)
    raw = tmp_path / "sessions/dev/raw"
    wait_for(raw / "telemetry.jsonl", "mem.psutil", 1)
    refused = run("telemetryd", *base)
    assert refused.returncode == 5
    assert str(daemon.pid) in refused.stderr
    assert "telemetry" in refused.stderr
    start("telemetryd", *base, "--stream", "telemetry_gpu", "--simulate", "--source", "gpu.nvml")
    wait_for(raw / "telemetry_gpu.jsonl", "gpu.nvml", 3)


def test_rate_comes_from_the_configuration(start: Start, tmp_path: Path) -> None:
    start("telemetryd", "--session", "dev", "--data-root", str(tmp_path), BENCHLAB_SAMPLE_HZ="4")
    raw = tmp_path / "sessions/dev/raw/telemetry.jsonl"
    wait_for(raw, "mem.psutil", 2)
    assert lines(raw)[0]["kv"]["period_ms"] == 250.0
