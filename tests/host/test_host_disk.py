from __future__ import annotations

import shutil

import pytest

from benchlab.daemon import Absent, Transient
from benchlab.host.disk import Disks
from support.recorded_host import Machine


def test_whole_disks_only(machine: Machine) -> None:
    """No partition, loop, ram, mapped or empty drive: they are no disks, or count another's traffic again."""
    assert set(Disks(machine.root).read()) == {"nvme0n1", "sda"}


def test_whole_disks_are_told_by_name_where_sys_was_not_recorded(machine: Machine) -> None:
    shutil.rmtree(machine.root / "sys")
    assert set(Disks(machine.root).read()) == {"nvme0n1", "sda"}


def test_first_reading_has_totals_but_no_rates(machine: Machine) -> None:
    nvme = Disks(machine.root, machine.monotonic).read()["nvme0n1"]
    assert nvme.read_b == 80_000 * 512
    assert nvme.write_b == 160_000 * 512
    assert nvme.read_b_s is None
    assert nvme.busy is None
    assert nvme.read_wait_ms is None


def test_rates_waits_and_busy_share_between_two_readings(machine: Machine) -> None:
    reader = Disks(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    nvme = reader.read()["nvme0n1"]
    assert nvme.read_b_s == pytest.approx(8000 * 512)
    assert nvme.reads_s == pytest.approx(100.0)
    assert nvme.read_wait_ms == pytest.approx(0.5)
    assert nvme.busy == pytest.approx(25.0)
    assert nvme.in_flight == 2


def test_no_request_is_no_wait_rather_than_a_wait_of_zero(machine: Machine) -> None:
    reader = Disks(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    nvme = reader.read()["nvme0n1"]
    assert nvme.writes_s == 0.0
    assert nvme.write_wait_ms is None


def test_busy_counted_in_coarse_ticks_never_exceeds_all_of_the_time(machine: Machine) -> None:
    reader = Disks(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    sda = reader.read()["sda"]
    assert sda.busy == 100.0
    assert sda.write_wait_ms == pytest.approx(10.0)


def test_counters_that_went_backwards_have_no_rates(machine: Machine) -> None:
    reader = Disks(machine.root, machine.monotonic)
    machine.second_later()
    reader.read()
    shutil.copy(machine.recorded / "before/proc/diskstats", machine.root / "proc/diskstats")
    machine.now_ns += 1_000_000_000
    nvme = reader.read()["nvme0n1"]
    assert nvme.read_b_s is None
    assert nvme.busy is None
    assert nvme.write_b_s == 0.0


def test_missing_diskstats_is_absent(machine: Machine) -> None:
    machine.remove("proc/diskstats")
    with pytest.raises(Absent, match="proc/diskstats: No such file"):
        Disks(machine.root).read()


@pytest.mark.parametrize("content", [b"8 0 sda 1 2 3\n", b"8 0 sda 1 2 x 4 5 6 7 8 9 10 11\n", b"\n\n"])
def test_garbage_in_diskstats_is_transient(machine: Machine, content: bytes) -> None:
    machine.write("proc/diskstats", content)
    with pytest.raises(Transient, match="proc/diskstats: found"):
        Disks(machine.root).read()
