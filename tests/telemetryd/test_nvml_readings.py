"""What is read of NVIDIA GPUs, through the real binding from a library that answers from a table."""

from __future__ import annotations

import _ctypes
import ctypes
import random
from collections.abc import Callable, Iterator
from time import time_ns
from typing import Any

import pynvml
import pytest

from benchlab.catalog import SIGNALS, unknown_keys
from benchlab.daemon import Absent, Source, Transient
from support.fake_nvml import NOT_SUPPORTED, FakeNvml, error
from telemetryd.nvml import library
from telemetryd.nvml.session import Nvml
from telemetryd.nvml.watch import GpuWatch

Fake = Callable[..., FakeNvml]
GIB = 1 << 30


class Host:
    """A host with a driver, in this process."""

    def __init__(self, fake: FakeNvml, index: int | None = None) -> None:
        self.fake = fake
        self.nvml = Nvml(backoff_s=(0.0, 0.0))
        self.watch = GpuWatch(self.nvml, time_ns, index, wait_s=0.01)
        self.gpus: dict[str, Source] = {}

    def look(self) -> None:
        """Let the watch do its work once; raises what it raises."""
        try:
            self.watch.sample()
        finally:
            self.gpus.update({gpu.dev: gpu for gpu in self.watch.arrivals()})  # type: ignore[attr-defined]

    def read(self, uuid: str) -> dict[str, Any]:
        (reading,) = self.gpus[uuid].sample()
        assert reading.dev == uuid
        return reading.kv


@pytest.fixture
def host(fake_nvml: Fake) -> Iterator[Callable[..., Host]]:
    """Put a library in this process, and take it out again."""
    loaded = []

    def _host(fake: FakeNvml | None = None, **options: Any) -> Host:
        fake = fake or fake_nvml()
        loaded.append(ctypes.CDLL(str(fake.library)))
        return Host(fake, **options)

    yield _host
    for one in loaded:
        library.unload(pynvml)
        _ctypes.dlclose(one._handle)


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


@pytest.mark.parametrize(
    ("code", "reason", "fix"),
    [
        (4, "no permission", "/dev/nvidia"),
        (9, "not loaded", "modprobe nvidia"),
        (12, "not installed", "install the NVIDIA driver"),
        (15, "lost", "gpu-reset"),
        (18, "different versions", "restart the host"),
        (999, "does not answer", "dmesg"),
    ],
)
def test_nvml_that_cannot_be_begun_is_absent_with_its_fix_until_it_can(
    host: Callable[..., Host], code: int, reason: str, fix: str
) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.fake.answer("*", "nvmlInitWithFlags", error(code))
    for _ in range(2):
        with pytest.raises(Absent) as absent:
            h.look()
        assert reason in absent.value.reason and f"NVML {code}" in absent.value.reason
        assert fix in absent.value.fix
    h.fake.forget("*", "nvmlInitWithFlags")
    h.look()
    assert h.read(uuid)["power_w"] == 120.0


def test_host_without_the_library_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "LIBRARY", "libnvidia-ml-of-no-host.so.1")
    with pytest.raises(Absent, match=r"cannot load libnvidia-ml-of-no-host.so.1") as absent:
        GpuWatch(Nvml(), time_ns).sample()
    assert "install the NVIDIA driver" in absent.value.fix


def test_driver_without_a_gpu_says_so(host: Callable[..., Host]) -> None:
    h = host()
    with pytest.raises(Absent, match="no such GPU") as absent:
        h.look()
    assert "lspci" in absent.value.fix
    uuid = h.fake.gpu(0)
    h.look()
    assert h.read(uuid)["power_w"] == 120.0


def test_gpu_that_answers_nothing_has_nvml_begun_anew(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.look()
    h.read(uuid)
    h.fake.lose(0, 999)
    with pytest.raises(Transient, match="answers nothing: NVML 999"):
        h.read(uuid)
    h.fake.bring_back(0)
    h.look()
    assert h.fake.calls("nvmlInitWithFlags") == ["*", "*"]
    assert h.read(uuid)["power_w"] == 120.0


@pytest.mark.parametrize("code", [15, 16])
def test_lost_gpu_is_down_alone_and_comes_back_under_another_index(host: Callable[..., Host], code: int) -> None:
    h = host()
    gone, well = h.fake.gpu(4, "GPU-gone", power_w=70.0), h.fake.gpu(5, "GPU-well")
    h.look()
    h.read(gone)
    h.fake.lose(4, code)
    for _ in range(2):
        with pytest.raises(Absent, match=f"NVML {code}") as absent:
            h.read(gone)
        assert "reset" in absent.value.fix
        h.look()
        assert h.read(well)["power_w"] == 120.0
    h.fake.remove(4)
    with pytest.raises(Absent, match="NVML"):
        h.read(gone)
    h.look()
    with pytest.raises(Absent, match="no such GPU"):
        h.read(gone)
    h.fake.gpu(9, "GPU-gone", power_w=71.0)
    h.look()
    assert h.read(gone)["power_w"] == 71.0
    identity: Any = h.gpus[gone]
    assert identity.identity["index"] == 1
    assert list(h.gpus) == ["GPU-gone", "GPU-well"]  # found once, not again
    assert h.fake.violations() == []


def test_gpu_that_was_lost_before_the_start_is_told_of_and_found_once_it_is_back(host: Callable[..., Host]) -> None:
    h = host()
    first, second = h.fake.gpu(0), h.fake.gpu(1)
    h.fake.lose(0)
    h.look()
    assert list(h.gpus) == [second]
    assert h.watch.identity["gpus"] == 2
    assert str(h.watch.identity["unreadable"]).startswith("index 0: the GPU is lost")
    h.fake.bring_back(0)
    h.look()
    assert "unreadable" not in h.watch.identity
    assert h.read(first)["power_w"] == h.read(second)["power_w"] == 120.0


def test_gpu_that_comes_with_the_next_beginning_is_found(host: Callable[..., Host]) -> None:
    h = host()
    first = h.fake.gpu(0)
    h.look()
    second = h.fake.gpu(1)
    h.fake.reload_driver()
    with pytest.raises(Absent, match="loaded anew"):
        h.read(first)
    h.look()
    assert list(h.gpus) == [first, second]
    assert h.read(second)["power_w"] == 120.0


def xids(h: Host, count: int) -> list[tuple[str | None, Any]]:
    found: list[tuple[str | None, Any]] = []
    for _ in range(100):
        if len(found) == count:
            break
        found += [(reading.dev, reading.kv["xid"]) for reading in h.watch.sample()]
    return found


def test_errors_are_reported_by_the_gpu_that_had_them(host: Callable[..., Host]) -> None:
    h = host()
    first, second = h.fake.gpu(0), h.fake.gpu(1)
    h.fake.xid(0, 13)  # before anybody listened
    h.look()
    h.fake.xid(1, 79)
    h.fake.xid(0, 31)
    h.fake.xid(0, 31)
    assert sorted(xids(h, 3)) == [(first, 31), (first, 31), (second, 79)]
    assert h.watch.sample() == []
    found = {uuid: (h.read(uuid)["xid_errors"], h.read(uuid)["last_xid"]) for uuid in (first, second)}
    assert found == {first: (2, 31), second: (1, 79)}


def test_errors_are_reported_again_after_a_new_beginning(host: Callable[..., Host]) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.look()
    h.fake.reload_driver()
    h.look()  # the wait fails, and has NVML begun anew
    h.look()
    h.fake.xid(0, 48)
    assert xids(h, 1) == [(uuid, 48)]
    h.fake.reload_driver()
    h.look()
    h.look()
    assert (h.read(uuid)["xid_errors"], h.read(uuid)["last_xid"]) == (1, 48)  # counted on


@pytest.mark.parametrize("bits", ["0", "3", NOT_SUPPORTED])
def test_gpu_that_reports_no_errors_is_not_asked_to(host: Callable[..., Host], bits: str) -> None:
    h = host()
    uuid = h.fake.gpu(0)
    h.fake.answer(0, "nvmlDeviceGetSupportedEventTypes", bits)
    h.look()
    assert h.watch.sample() == []
    assert h.fake.calls("nvmlEventSetWait_v2") == []
    assert "xid_errors" not in h.read(uuid)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_all_gpus_are_read_once_all_is_well(host: Callable[..., Host], seed: int) -> None:
    chance = random.Random(seed)
    h = host()
    uuids = {slot: h.fake.gpu(slot) for slot in range(3)}
    away: set[int] = set()
    for _ in range(25):
        slot = chance.randrange(3)
        match chance.randrange(6):
            case 0 if slot not in away:
                h.fake.lose(slot, chance.choice([1, 9, 15, 16, 18, 999]))
                away.add(slot)
            case 1 if slot in away:
                h.fake.bring_back(slot)
                away.remove(slot)
            case 2:
                h.fake.reload_driver()
            case 3:
                h.fake.xid(slot, 31)
            case 4:
                h.fake.answer("*", "nvmlInitWithFlags", chance.choice(["0", error(9), error(999)]))
            case _:
                attempt(h.look)
        for uuid in h.gpus:
            attempt(lambda uuid=uuid: h.read(uuid))  # type: ignore[misc]
    for slot in away:
        h.fake.bring_back(slot)
    h.fake.answer("*", "nvmlInitWithFlags", "0")
    for _ in range(4):
        attempt(h.look)
        for uuid in h.gpus:
            attempt(lambda uuid=uuid: h.read(uuid))  # type: ignore[misc]
    assert {uuid: h.read(uuid)["power_w"] for uuid in h.gpus} == dict.fromkeys(uuids.values(), 120.0)
    assert h.fake.violations() == []


def attempt(act: Callable[[], object]) -> None:
    try:
        act()
    except (Absent, Transient):
        pass
