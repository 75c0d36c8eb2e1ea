from __future__ import annotations

import pytest

from benchlab.daemon import Absent, Transient
from benchlab.host.cpu import CpuFrequency, CpuUsage, LoadAverage
from support.recorded_host import Machine


def test_first_reading_has_no_usage_rather_than_zero(machine: Machine) -> None:
    usage = CpuUsage(machine.root, machine.monotonic).read()
    assert usage.total is None
    assert usage.cores == {}
    assert usage.ctx_switches_s is None
    assert usage.online == (0, 1, 2, 3)


def test_usage_and_context_switches_between_two_readings(machine: Machine) -> None:
    reader = CpuUsage(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    usage = reader.read()
    assert usage.total == pytest.approx(100 * 110 / 400)
    assert usage.cores[0] == pytest.approx(75.0)
    assert usage.cores[1] == pytest.approx(10.0)  # waiting for a disk is not being busy
    assert usage.ctx_switches_s == pytest.approx(2500.0)


def test_core_whose_counters_went_backwards_is_absent(machine: Machine) -> None:
    reader = CpuUsage(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    assert 2 not in reader.read().cores


def test_cores_that_went_or_came_have_no_usage_until_they_stayed(machine: Machine) -> None:
    reader = CpuUsage(machine.root, machine.monotonic)
    reader.read()
    machine.second_later()
    usage = reader.read()
    assert usage.online == (0, 1, 2, 4)
    assert set(usage.cores) == {0, 1}


def test_no_time_passed_is_no_usage(machine: Machine) -> None:
    reader = CpuUsage(machine.root, machine.monotonic)
    reader.read()
    usage = reader.read()
    assert usage.total is None
    assert usage.ctx_switches_s is None


def test_missing_proc_stat_is_absent_and_names_the_file(machine: Machine) -> None:
    machine.remove("proc/stat")
    with pytest.raises(Absent) as caught:
        CpuUsage(machine.root).read()
    assert str(machine.root / "proc/stat") in caught.value.reason
    assert "No such file" in caught.value.reason


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"", "''"),
        (b"cpu  1 2 three 4 5 6 7 8\nctxt 5\n", "1 2 three 4"),
        (b"cpu0 1 2 3 4 5 6 7 8\nctxt 5\n", "cpu0 1 2"),
        (b"cpu  1 2 3\nctxt 5\n", "cpu  1 2 3"),
        (b"cpu  1 2 3 4 5 6 7 8\nintr 5\n", "intr 5"),
        (b"\xff\xfe", r"\xff"),
    ],
)
def test_garbage_in_proc_stat_is_transient_with_file_and_content(machine: Machine, content: bytes, shown: str) -> None:
    machine.write("proc/stat", content)
    with pytest.raises(Transient) as caught:
        CpuUsage(machine.root).read()
    assert str(machine.root / "proc/stat") in str(caught.value)
    assert shown in str(caught.value)


def test_reading_recovers_after_garbage(machine: Machine) -> None:
    reader = CpuUsage(machine.root, machine.monotonic)
    reader.read()
    good = (machine.root / "proc/stat").read_bytes()
    machine.write("proc/stat", b"half a li")
    with pytest.raises(Transient):
        reader.read()
    machine.write("proc/stat", good)
    machine.second_later()
    assert reader.read().cores[0] == pytest.approx(75.0)


def test_file_that_appears_later_is_read(machine: Machine) -> None:
    reader = LoadAverage(machine.root)
    content = (machine.root / "proc/loadavg").read_bytes()
    machine.remove("proc/loadavg")
    with pytest.raises(Absent):
        reader.read()
    machine.write("proc/loadavg", content)
    assert reader.read() == (0.52, 0.48, 0.40)


@pytest.mark.parametrize("content", [b"", b"0.1 0.2", b"a b c 1/2 3"])
def test_garbage_in_loadavg_is_transient(machine: Machine, content: bytes) -> None:
    machine.write("proc/loadavg", content)
    with pytest.raises(Transient, match="loadavg"):
        LoadAverage(machine.root).read()


def test_frequency_of_the_cores_that_tell_it(machine: Machine) -> None:
    reader = CpuFrequency(machine.root, machine.monotonic)
    assert reader.read((0, 1, 2, 3)) == {0: 2400.0, 1: 800.0, 2: 1600.0}
    machine.second_later()
    assert reader.read((0, 1, 2, 4)) == {0: 4100.0, 1: 900.0, 2: 1600.0}


def test_frequency_of_a_core_that_comes_online_is_taken(machine: Machine) -> None:
    reader = CpuFrequency(machine.root, machine.monotonic)
    assert 3 not in reader.read((0, 1, 2, 3))
    folder = machine.root / "sys/devices/system/cpu/cpu4/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_cur_freq").write_text("3000000\n")
    assert reader.read((0, 1, 2, 4))[4] == 3000.0


def test_frequency_comes_from_cpuinfo_where_there_is_no_cpufreq(machine: Machine) -> None:
    reader = CpuFrequency(machine.root, machine.monotonic)
    for core in (0, 1, 2):
        machine.remove(f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq")
    assert reader.read((0, 1)) == {0: 2499.998, 1: 2500.002}
    machine.write("proc/cpuinfo", b"processor : 0\ncpu MHz : 1000.0\n")
    assert reader.read((0, 1)) == {0: 2499.998, 1: 2500.002}  # once a second is enough
    machine.now_ns += 1_000_000_000
    assert reader.read((0, 1)) == {0: 1000.0}


def test_no_frequency_at_all_is_no_error(machine: Machine) -> None:
    reader = CpuFrequency(machine.root, machine.monotonic)
    for core in (0, 1, 2):
        machine.remove(f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq")
    machine.remove("proc/cpuinfo")
    assert reader.read((0, 1)) == {}


def test_garbage_frequency_is_transient_with_its_file(machine: Machine) -> None:
    machine.write("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", b"<unknown>\n")
    with pytest.raises(Transient, match=r"cpu1/cpufreq/scaling_cur_freq: found '<unknown>"):
        CpuFrequency(machine.root).read((0, 1))
