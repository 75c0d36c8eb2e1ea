"""NVML that cannot be begun, GPUs that are lost and come back, and the errors that they report."""

from __future__ import annotations

import random
from collections.abc import Callable
from time import time_ns
from typing import Any

import pytest

from benchlab.daemon import Absent, Transient
from support.fake_nvml import NOT_SUPPORTED, error
from support.nvml_host import Host, attempt
from telemetryd.nvml import library
from telemetryd.nvml.session import Nvml
from telemetryd.nvml.watch import GpuWatch


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
