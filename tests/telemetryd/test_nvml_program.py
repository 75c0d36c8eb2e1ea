"""telemetryd as a process on a host whose NVIDIA driver and GPUs come, go, hang and are upgraded."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.fake_nvml import HANG, FakeNvml, error
from support.processes import Run, Start, until

Fake = Callable[..., FakeNvml]
Row = dict[str, Any]


class Recording:
    """A running telemetryd and what it has written."""

    def __init__(self, start: Start, fake: FakeNvml, data_root: Path, *flags: str) -> None:
        command = ("telemetryd", "--session", "s", "--hz", "50", "--data-root", str(data_root), *flags)
        self.process: subprocess.Popen[bytes] = start(*command, **fake.env)
        self.raw = data_root / "sessions/s/raw/telemetry.jsonl"

    def rows(self) -> list[Row]:
        if not self.raw.exists():
            return []
        whole, _, _ = self.raw.read_bytes().rpartition(b"\n")
        return [msgspec.json.decode(line) for line in whole.splitlines()]

    def of(self, source: str, dev: str | None = None) -> list[Row]:
        return [row for row in self.rows() if row["source"] == source and row.get("dev") == dev]

    def told(self, event: str, dev: str | None = None) -> list[Row]:
        return [
            row["kv"]
            for row in self.of("meta", dev)
            if row["kv"]["event"] == event and row["kv"]["which"] == "gpu.nvml"
        ]

    def until_more(self, source: str, dev: str | None = None, count: int = 5) -> None:
        """Wait for that many further readings of a source."""
        before = len(self.of(source, dev))
        until(lambda: len(self.of(source, dev)) >= before + count)

    def end(self) -> list[Row]:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20.0) == 0
        rows = self.rows()
        assert [row["seq"] for row in rows] == list(range(len(rows)))
        assert rows[-1]["kv"] == {"event": "stop"}
        return rows


@pytest.fixture
def record(start: Start, tmp_path: Path) -> Callable[..., Recording]:
    return lambda fake, *flags: Recording(start, fake, tmp_path / "data", *flags)


def test_gpus_appear_once_the_driver_is_loaded(record: Callable[..., Recording], fake_nvml: Fake) -> None:
    fake = fake_nvml()
    fake.answer("*", "nvmlInitWithFlags", error(9))
    host = record(fake)
    until(lambda: host.told("source_down"))
    (down,) = host.told("source_down")
    assert "not loaded" in down["reason"] and "modprobe" in down["fix"]
    host.until_more("cpu.psutil")
    first, second = fake.gpu(0, power_w=210.0), fake.gpu(1, power_w=35.0, name="NVIDIA T4")
    fake.forget("*", "nvmlInitWithFlags")
    host.until_more("gpu.nvml", first)
    host.until_more("gpu.nvml", second)
    assert host.of("gpu.nvml", second)[-1]["kv"]["power_w"] == 35.0
    until(lambda: host.told("source_up"))
    (up,) = host.told("source_up", second)
    assert up["sources"][0] | {"name": "NVIDIA T4", "index": 1, "source": "gpu.nvml", "dev": second} == up["sources"][0]
    assert host.told("source_up")[-1]["sources"][0]["driver"] == "535.183.01"
    host.end()


def test_lost_gpu_is_down_alone_and_comes_back(record: Callable[..., Recording], fake_nvml: Fake) -> None:
    fake = fake_nvml()
    gone, well = fake.gpu(0), fake.gpu(1)
    host = record(fake)
    host.until_more("gpu.nvml", gone)
    fake.xid(0, 79)
    until(lambda: any("xid" in row["kv"] for row in host.of("gpu.nvml", gone)))
    fake.lose(0)
    until(lambda: host.told("source_down", gone))
    host.until_more("gpu.nvml", well)
    fake.bring_back(0)
    host.until_more("gpu.nvml", gone)
    host.end()
    assert "GPU is lost" in host.told("source_down", gone)[0]["reason"]
    assert len(host.told("source_up", gone)) == 2
    assert host.told("source_down", well) == host.told("source_down") == []
    assert [row["kv"] for row in host.of("gpu.nvml", gone) if "xid" in row["kv"]] == [{"xid": 79}]
    assert fake.violations() == []


def test_gpu_that_hangs_delays_no_other_and_no_shutdown_cuts_it_off(
    record: Callable[..., Recording], fake_nvml: Fake
) -> None:
    fake = fake_nvml()
    stuck, well, lost = fake.gpu(0), fake.gpu(1), fake.gpu(2)
    host = record(fake)
    for uuid in (stuck, well, lost):
        host.until_more("gpu.nvml", uuid)
    fake.answer(0, "nvmlDeviceGetTemperature.0", HANG)
    until(lambda: host.told("source_down", stuck))
    assert "quarantined" in host.told("source_down", stuck)[0]["reason"]
    fake.lose(2)
    until(lambda: host.told("source_down", lost))
    begun = fake.calls("nvmlInitWithFlags")
    host.until_more("gpu.nvml", well, 100)
    host.until_more("cpu.psutil", count=20)
    assert fake.calls("nvmlInitWithFlags") == begun == ["*"]  # not while a call hangs
    fake.bring_back(2)
    fake.gpu(0, temp_c=55)
    host.until_more("gpu.nvml", stuck)
    host.until_more("gpu.nvml", lost)
    host.end()
    assert host.told("source_down", well) == []
    assert fake.violations() == []


def test_library_that_hangs_at_the_beginning_delays_no_other_source(
    record: Callable[..., Recording], fake_nvml: Fake
) -> None:
    fake = fake_nvml()
    uuid = fake.gpu(0)
    fake.answer("*", "nvmlInitWithFlags", HANG)
    host = record(fake)
    until(lambda: host.told("source_down"))
    host.until_more("cpu.psutil", count=20)
    fake.answer("*", "nvmlInitWithFlags", "0")
    host.until_more("gpu.nvml", uuid)
    host.end()


def test_program_ends_while_a_call_hangs(record: Callable[..., Recording], fake_nvml: Fake) -> None:
    fake = fake_nvml()
    uuid = fake.gpu(0)
    host = record(fake)
    host.until_more("gpu.nvml", uuid)
    fake.answer(0, "nvmlDeviceGetTemperature.0", HANG)
    until(lambda: host.told("source_down", uuid))
    host.end()
    assert fake.violations() == []


def test_driver_that_is_loaded_anew_is_followed(record: Callable[..., Recording], fake_nvml: Fake) -> None:
    fake = fake_nvml()
    uuid = fake.gpu(0, energy_j=5000.0)
    host = record(fake)
    host.until_more("gpu.nvml", uuid)
    fake.gpu(0, energy_j=1.0)
    fake.reload_driver()
    until(lambda: any(row["kv"].get("energy_j") == 1.0 for row in host.of("gpu.nvml", uuid)))
    host.end()


def test_upgraded_driver_is_followed_with_its_new_library(record: Callable[..., Recording], fake_nvml: Fake) -> None:
    fake = fake_nvml()
    uuid = fake.gpu(0)
    host = record(fake)
    host.until_more("gpu.nvml", uuid)
    fake.upgrade_kernel("550.54.14")
    until(lambda: any("different versions" in down["reason"] for down in host.told("source_down")))
    fake.install("550.54.14")
    host.until_more("gpu.nvml", uuid)
    until(lambda: host.told("source_up")[-1].get("sources", [{}])[0].get("driver") == "550.54.14")
    assert host.told("source_up", uuid)[-1]["sources"][0]["driver"] == "550.54.14"
    host.end()


def test_library_that_is_installed_later_is_found(record: Callable[..., Recording], fake_nvml: Fake) -> None:
    fake = fake_nvml()
    uuid = fake.gpu(0)
    fake.uninstall()
    host = record(fake)
    until(lambda: host.told("source_down"))
    assert "libnvidia-ml.so.1" in host.told("source_down")[0]["reason"]
    assert "install" in host.told("source_down")[0]["fix"]
    fake.install()
    host.until_more("gpu.nvml", uuid)
    host.end()


def test_once_shows_every_gpu(run: Run, fake_nvml: Fake) -> None:
    fake = fake_nvml()
    uuids = [fake.gpu(0, power_w=200.0), fake.gpu(1, power_w=100.0)]
    done = run("telemetryd", "--once", "--json", "--source", "gpu.nvml", **fake.env)
    assert done.returncode == 0
    rows = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert {row["dev"]: row["kv"]["power_w"] for row in rows} == dict(zip(uuids, (200.0, 100.0), strict=True))
    assert {"pcie_rx_kib_s", "pcie_tx_kib_s"} <= set(rows[0]["kv"])
    assert not any(row.get("sim") for row in rows)


@pytest.mark.parametrize(
    ("flags", "env"),
    [(("--device-index", "1"), {}), ((), {"BENCHLAB_GPU_DEVICE_INDEX": "1"})],
    ids=["flag", "variable"],
)
def test_index_picks_one_gpu(run: Run, fake_nvml: Fake, flags: tuple[str, ...], env: dict[str, str]) -> None:
    fake = fake_nvml()
    fake.gpu(0)
    uuid = fake.gpu(1)
    done = run("telemetryd", "--once", "--json", "--source", "gpu.nvml", *flags, **fake.env, **env)
    assert [msgspec.json.decode(line)["dev"] for line in done.stdout.splitlines()] == [uuid]


def test_index_out_of_range_is_one_line_and_exits_4(run: Run, fake_nvml: Fake) -> None:
    fake = fake_nvml()
    fake.gpu(0)
    flags = ("--once", "--source", "gpu.nvml", "--device-index", "3")
    done = run("telemetryd", *flags, **fake.env)
    assert done.returncode == 4
    (line,) = done.stdout.splitlines()
    assert "found 1 GPU (only index 0), expected one of index 3" in line
    assert "--device-index" in line


def test_simulated_gpu_takes_the_place_of_the_real_ones(run: Run, fake_nvml: Fake) -> None:
    fake = fake_nvml()
    fake.gpu(0)
    done = run("telemetryd", "--once", "--json", "--simulate", "--source", "gpu.nvml", **fake.env)
    (row,) = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert row["sim"] is True
    assert fake.calls("nvmlInitWithFlags") == []


def test_doctor_shows_the_gpu_or_why_there_is_none(run: Run, fake_nvml: Fake, tmp_path: Path) -> None:
    fake = fake_nvml()
    uuid = fake.gpu(0)

    def verdict(**env: str) -> Row:
        done = run("benchctl", "doctor", "--json", "--data-root", str(tmp_path), **fake.env, **env)
        (check,) = [c for c in msgspec.json.decode(done.stdout)["checks"] if c["name"] == "gpu.nvml"]
        return dict(check)

    check = verdict()
    assert check["state"] == "ok" and uuid in check["found"]
    fake.answer(0, "nvmlDeviceGetTemperature.0", HANG)
    check = verdict()
    assert check["state"] == "absent" and check["found"] == f"{uuid}: no answer in time"
    fake.gpu(0, temp_c=50)
    fake.answer("*", "nvmlInitWithFlags", error(4))
    check = verdict()
    assert check["state"] == "absent"
    assert "no permission" in check["found"] and "/dev/nvidia" in check["fix"]
    assert verdict(BENCHLAB_GPU_DEVICE_INDEX="0")["state"] == "fail"
