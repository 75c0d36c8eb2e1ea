from __future__ import annotations

import pytest

from benchlab.daemon import Absent, Transient
from benchlab.host.memory import MemoryInfo
from support.recorded_host import Machine


def test_memory_and_swap_in_bytes(machine: Machine) -> None:
    memory = MemoryInfo(machine.root).read()
    assert memory.total_b == 16_000_000 * 1024
    assert memory.free_b == 2_000_000 * 1024
    assert memory.available_b == 12_000_000 * 1024
    assert memory.used_b == 4_000_000 * 1024
    assert memory.cached_b == 6_500_000 * 1024
    assert memory.swap_used_b == 1_000_000 * 1024


def test_kernel_that_does_not_say_what_is_available_leaves_used_absent(machine: Machine) -> None:
    machine.write("proc/meminfo", b"MemTotal:  1000 kB\nMemFree:  400 kB\nSReclaimable:  7 kB\n")
    memory = MemoryInfo(machine.root).read()
    assert (memory.total_b, memory.free_b) == (1_024_000, 409_600)
    assert memory.available_b is None
    assert memory.used_b is None
    assert memory.cached_b is None
    assert memory.swap_used_b is None


def test_missing_meminfo_is_absent(machine: Machine) -> None:
    machine.remove("proc/meminfo")
    with pytest.raises(Absent, match="proc/meminfo: No such file"):
        MemoryInfo(machine.root).read()


@pytest.mark.parametrize("content", [b"", b"MemTotal: lots\n", b"MemTotal: 0 kB\nMemFree: 0 kB\n", b"MemTotal: 5 kB\n"])
def test_garbage_meminfo_is_transient(machine: Machine, content: bytes) -> None:
    machine.write("proc/meminfo", content)
    with pytest.raises(Transient, match="proc/meminfo: found"):
        MemoryInfo(machine.root).read()
