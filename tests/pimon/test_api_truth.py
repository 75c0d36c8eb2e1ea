"""The API of the program itself, on the machine that runs the tests, against what /proc says there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jsonschema import Draft202012Validator

from benchlab.cli import free_port
from pimon.api.openapi import document
from support.pimon_api import ask, get
from support.processes import until
from support.tree import REPOSITORY


def start(folder: Path, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start pimon with a folder of its own, that of its `.env` too."""
    given = {
        "PYTHONPATH": f"{REPOSITORY / 'apps'}:{REPOSITORY / 'libs'}",
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        **(env or {}),
    }
    argv = [sys.executable, "-m", "pimon", "--data-root", str(folder / "data"), *args]
    return subprocess.Popen(argv, cwd=folder, env=given, stderr=subprocess.PIPE)


def answers(port: int) -> bool:
    try:
        return ask(port, "/health")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("pimon"), free_port()
    (folder / ".env").write_text(f"PISTAT_PORT={port}\nPISTAT_HOST=127.0.0.1\nPISTAT_CACHE_SECONDS=0.5\n")
    process = start(folder, "--interval", "1")
    try:
        until(lambda: answers(port) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[1]
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def stats(port: int) -> Any:
    status, found = get(port, "/stats?cache=false")
    assert status == 200
    return found


def meminfo() -> dict[str, int]:
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


def test_memory_and_swap_are_those_of_meminfo(stats: Any) -> None:
    truth = meminfo()
    assert stats["memory"]["total"] == truth["MemTotal"]
    assert stats["swap"]["total"] == truth["SwapTotal"]
    assert 0 < stats["memory"]["available"] <= truth["MemTotal"]
    percent = 100 * (1 - stats["memory"]["available"] / truth["MemTotal"])
    assert stats["memory"]["percent"] == pytest.approx(percent, abs=0.06)


def test_cores_are_those_of_proc_stat(stats: Any) -> None:
    lines = Path("/proc/stat").read_text().splitlines()
    assert len(stats["per_cpu_usage"]) == sum(line.startswith("cpu") for line in lines) - 1
    assert 0.0 <= stats["cpu_usage"] <= 100.0


def test_the_time_since_boot_is_that_of_the_kernel(stats: Any) -> None:
    (booted_s,) = (int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if "btime" in line)
    assert stats["timestamp"] - stats["uptime"] == pytest.approx(booted_s, abs=5.0)
    assert abs(psutil.boot_time() - booted_s) < 5.0


def test_the_load_is_that_of_loadavg(stats: Any) -> None:
    truth = [float(field) for field in Path("/proc/loadavg").read_text().split()[:3]]
    assert len(stats["load_avg"]) == 3
    assert stats["load_avg"][2] == pytest.approx(truth[2], abs=1.0)  # that over 15 minutes hardly moves


def test_the_disk_is_that_of_statvfs(stats: Any) -> None:
    truth = psutil.disk_usage("/")
    assert stats["disk"]["total"] == truth.total
    assert stats["disk"]["percent"] == pytest.approx(truth.percent, abs=2.0)


def test_counters_are_not_behind_those_before_nor_ahead_of_those_after(port: int) -> None:
    before = psutil.net_io_counters(pernic=True)
    _, found = get(port, "/stats?cache=false")
    after = psutil.net_io_counters(pernic=True)
    names = set(found["network"]) - {"active_connections"}
    assert names == {name for name, nic in after.items() if name != "lo" and nic.packets_recv + nic.packets_sent}
    for name in names:
        for key in ("bytes_sent", "bytes_recv", "packets_sent", "packets_recv", "errin", "errout", "dropin", "dropout"):
            assert getattr(before[name], key) <= found["network"][name][key] <= getattr(after[name], key), (name, key)


def test_a_host_that_is_no_pi_has_nothing_of_one(stats: Any) -> None:
    if "Raspberry Pi" in str(stats["hardware"].get("model")):
        pytest.skip("this is one")
    assert (stats["gpu"], stats["clocks"], stats["power"]) == ({}, {}, {})


def test_processes_are_those_that_run(port: int) -> None:
    _, found = get(port, "/processes?sort=memory&limit=100")
    for each in found["processes"][:5]:
        process = psutil.Process(each["pid"])
        assert (process.username(), process.pid) == (each["user"], each["pid"])
        assert process.name().startswith(each["name"][:15])
    assert {each["pid"] for each in get(port, "/processes?sort=pid&limit=1")[1]["processes"]} == {min(psutil.pids())}


def test_every_answer_of_a_real_machine_is_as_described(port: int) -> None:
    until(lambda: len(get(port, "/metrics/history")[1]["samples"]) >= 2)  # the recording's ticks fill it
    found = document()
    for path, methods in found["paths"].items():
        content = methods["get"]["responses"]["200"]["content"]
        if "application/json" in content:
            schema = {**content["application/json"]["schema"], "components": found["components"]}
            status, body = get(port, path)
            assert status == 200
            Draft202012Validator(schema).validate(body)


def test_a_made_up_machine_says_so(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, "--simulate", "--host", "127.0.0.1", "--port", str(port))
    try:
        until(lambda: answers(port) or process.poll() is not None)
        assert json.loads(ask(port, "/stats?block=true")[2])["sim"] is True
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_mistake_in_dotenv_ends_the_program_with_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# port\nPISTAT_PORT=eighty\n")
    process = start(tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    expected = f'{tmp_path / ".env"}: line 2: PISTAT_PORT: found "eighty", expected an integer from 1 up to 65535'
    assert said.decode() == f"pimon: {expected}\n"


def test_a_taken_port_ends_the_program_with_one_line(port: int, tmp_path: Path) -> None:
    process = start(tmp_path, "--host", "127.0.0.1", env={"PISTAT_PORT": str(port)})
    _, said = process.communicate(timeout=60)
    assert process.returncode == 5
    assert f"pimon: 127.0.0.1:{port} is taken by " in said.decode() and said.decode().count("\n") == 1
    assert "set PISTAT_PORT, [pimon].port or --port to another" in said.decode()
