"""What is read of NVIDIA GPUs, through the real binding from a library that answers from a table."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns
from typing import Any

import pytest

from benchlab.catalog import SIGNALS, unknown_keys
from benchlab.daemon import Absent
from support.fake_nvml import GIB, NOT_SUPPORTED, FakeNvml, error
from support.nvml_host import Host

Fake = Callable[..., FakeNvml]


def test_every_gpu_is_read_whole(host: Callable[..., Host]) -> None:
    h = host()
    first, second = h.fake.gpu(0, power_w=250.5), h.fake.gpu(1, power_w=80.0, temp_c=44)
    h.look()
    assert list(h.gpus) == [first, second]
    for _ in range(2):
        h.gpus[first].sample()
    kv = h.read(second)
    assert (kv["power_w"], kv["temp_c"]) == (80.0, 44.0)
    expected = {
        "power_w": 250.5,
        "power_avg_w": 118.5,
        "energy_j": 5000.0,
        "mem_temp_c": 70.0,
        "gpu_util": 85,
        "mem_util": 40,
        "gpu_mem_used": 27 * GIB // 2,
        "gpu_mem_total": 24 * GIB,
        "gpu_mem_reserved": GIB // 2,
        "temp_c": 61.0,
        "graphics_clock_mhz": 1980,
        "sm_clock_mhz": 1965,
        "mem_clock_mhz": 9501,
        "video_clock_mhz": 1770,
        "throttle_reasons": 4,
        "pstate": 2,
        "fan_pct": 41,
        "enc_util": 12,
        "dec_util": 7,
        "power_limit_w": 350.0,
        "pcie_rx_kib_s": 4096,
        "xid_errors": 0,
    }
    kv = h.read(first)
    kv.pop("pcie_tx_kib_s", None)  # its turn comes half a second later
    assert kv == expected


def test_keys_of_the_catalog_are_all_there_and_no_other(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.look()
    found: set[str] = set()
    while "pcie_tx_kib_s" not in found:
        found |= set(h.read(uuid))
    assert unknown_keys("gpu.nvml", dict.fromkeys(found, 0).items()) == []
    assert found | {"xid", "last_xid"} == {signal.key for signal in SIGNALS if signal.source == "gpu.nvml"}


def test_calls_that_block_are_not_made_at_every_sample(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.look()
    for _ in range(30):
        assert h.read(uuid)["pcie_rx_kib_s"] == 4096
    asked = len(h.fake.calls("nvmlDeviceGetPcieThroughput.1")) + len(h.fake.calls("nvmlDeviceGetPcieThroughput.0"))
    assert 1 <= asked <= 15
    assert len(h.fake.calls("nvmlDeviceGetTemperature.0")) == 30


def test_index_picks_one_gpu_and_keeps_to_it_when_the_order_changes(host: Callable[..., Host]) -> None:
    h = host(index=1)
    h.fake.gpu(0, "GPU-aaaa")
    h.fake.gpu(1, "GPU-bbbb", power_w=77.0)
    h.look()
    assert list(h.gpus) == ["GPU-bbbb"]
    assert h.read("GPU-bbbb")["power_w"] == 77.0
    h.fake.gpu(0, "GPU-bbbb", power_w=78.0)
    h.fake.gpu(1, "GPU-aaaa")
    h.fake.reload_driver()
    with pytest.raises(Absent):
        h.read("GPU-bbbb")
    h.look()
    assert list(h.gpus) == ["GPU-bbbb"]
    assert h.read("GPU-bbbb")["power_w"] == 78.0


@pytest.mark.parametrize(("there", "words"), [(1, "found 1 GPU (only index 0)"), (2, "found 2 GPUs (index 0 to 1)")])
def test_index_out_of_range_says_what_was_found_and_is_waited_for(
    host: Callable[..., Host], there: int, words: str
) -> None:
    h = host(index=2)
    for slot in range(there):
        h.fake.gpu(slot)
    with pytest.raises(Absent) as absent:
        h.look()
    assert absent.value.reason == f"{words}, expected one of index 2"
    assert "--device-index" in absent.value.fix
    later = [h.fake.gpu(slot) for slot in (5, 6)]
    h.look()
    assert list(h.gpus) == [later[2 - there]]


def test_what_is_not_supported_is_absent_and_asked_once(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    for call in ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetClockInfo.3", "field.82", "field.185"):
        h.fake.answer(0, call, NOT_SUPPORTED)
    h.look()
    for _ in range(3):
        assert not {"gpu_util", "mem_util", "video_clock_mhz", "mem_temp_c", "power_avg_w"} & set(h.read(uuid))
    assert len(h.fake.calls("nvmlDeviceGetUtilizationRates")) == 1
    assert len(h.fake.calls("field.82")) == 1
    h.fake.gpu(0, gpu_util=50)
    h.fake.reload_driver()
    with pytest.raises(Absent):
        h.read(uuid)
    h.look()
    assert h.read(uuid)["gpu_util"] == 50


def test_what_was_answered_before_is_asked_again_after_a_refusal(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.look()
    assert h.read(uuid)["power_w"] == 120.0
    h.fake.answer(0, "field.186", NOT_SUPPORTED)
    h.fake.answer(0, "nvmlDeviceGetTemperature.0", NOT_SUPPORTED)
    kv = h.read(uuid)
    assert "temp_c" not in kv
    assert "power_w" not in kv  # above all, no reading of another kind in its place
    h.fake.gpu(0, power_w=121.0, temp_c=62)
    kv = h.read(uuid)
    assert (kv["power_w"], kv["temp_c"]) == (121.0, 62.0)


def test_number_that_is_no_measurement_is_absent(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0, mem_temp_c=0, pstate=32)
    h.look()
    assert not {"mem_temp_c", "pstate"} & set(h.read(uuid))


def test_instant_power_is_preferred_and_has_no_window(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.fake.answer(0, "nvmlDeviceGetPowerUsage", 99_000)
    h.look()
    assert h.read(uuid)["power_w"] == 120.0
    gpu: Any = h.gpus[uuid]
    assert gpu.window_ms is None
    assert gpu.identity["power_from"] == "NVML_FI_DEV_POWER_INSTANT"
    assert h.fake.calls("nvmlDeviceGetPowerUsage") == []


@pytest.mark.parametrize(("capability", "window_ms"), [("7 5", None), ("8 0", None), ("8 6", 1000.0), ("9 0", 1000.0)])
def test_power_of_an_older_driver_says_over_how_long_it_is_averaged(
    host: Callable[..., Host], capability: str, window_ms: float | None
) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    for field in (83, 185, 186):
        h.fake.answer(0, f"field.{field}", error(2))
    h.fake.answer(0, "nvmlDeviceGetPowerUsage", 99_000)
    h.fake.answer(0, "nvmlDeviceGetTotalEnergyConsumption", 1_500)
    h.fake.answer(0, "nvmlDeviceGetCudaComputeCapability", capability)
    h.look()
    kv = h.read(uuid)
    assert (kv["power_w"], kv["energy_j"]) == (99.0, 1.5)
    gpu: Any = h.gpus[uuid]
    assert gpu.window_ms == window_ms
    assert gpu.identity["power_from"] == "nvmlDeviceGetPowerUsage"


def test_library_without_newer_functions_is_read_by_the_older_ones(host: Callable[..., Host], fake_nvml: Fake) -> None:
    missing = [
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlEventSetCreate",
        "nvmlDeviceGetEncoderUtilization",
        "nvmlSystemGetDriverVersion",
    ]
    h = host(fake_nvml(without=missing))
    uuid = h.fake.gpu(0)
    h.fake.answer(0, "nvmlDeviceGetCurrentClocksThrottleReasons", 0x20)
    h.look()
    h.look()
    kv = h.read(uuid)
    assert (kv["power_w"], kv["energy_j"], kv["throttle_reasons"]) == (120.0, 5000.0, 0x20)
    assert kv["gpu_mem_used"] == 14 * GIB
    assert not {"power_avg_w", "enc_util", "gpu_mem_reserved"} & set(kv)
    assert kv["dec_util"] == 7


def test_identity_of_a_gpu(host: Callable[..., Host]) -> None:
    h = host()
    h.fake.gpu(0)
    uuid = h.fake.gpu(3, name="NVIDIA GeForce RTX 4090")
    h.look()
    gpu: Any = h.gpus[uuid]
    assert gpu.identity == {}
    h.read(uuid)
    assert gpu.identity == {
        "name": "NVIDIA GeForce RTX 4090",
        "index": 1,
        "pci": "00000000:04:00.0",
        "vbios": "95.02.18.80.5F",
        "driver": "535.183.01",
        "power_limit_default_w": 350.0,
        "power_from": "NVML_FI_DEV_POWER_INSTANT",
    }
    assert h.watch.identity == {"driver": "535.183.01", "gpus": 2}


def test_reading_is_stamped_when_power_was_read(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.fake.answer(0, "nvmlDeviceGetPcieThroughput.1.ms", 300)
    h.look()
    begin_ns = time_ns()
    (reading,) = h.gpus[uuid].sample()
    assert reading.ts_ns is not None and reading.unc_ns is not None
    assert reading.ts_ns - reading.unc_ns >= begin_ns + 300_000_000  # the call that blocks comes before
    assert reading.ts_ns <= time_ns()
