"""The readers against psutil, on the machine the tests run on."""

from __future__ import annotations

import time

import psutil
import pytest

from benchlab.daemon import Absent
from benchlab.host.cpu import CpuUsage, LoadAverage
from benchlab.host.disk import Disks
from benchlab.host.memory import MemoryInfo
from benchlab.host.net import NetDevices


def test_memory_agrees_with_psutil() -> None:
    ours, theirs = MemoryInfo().read(), psutil.virtual_memory()
    assert ours.total_b == theirs.total
    assert ours.available_b == pytest.approx(theirs.available, rel=0.1)
    assert ours.swap_total_b == psutil.swap_memory().total


def test_cpu_usage_agrees_with_psutil() -> None:
    reader = CpuUsage()
    reader.read()
    psutil.cpu_percent()
    time.sleep(1.0)
    ours, theirs = reader.read(), psutil.cpu_percent()
    assert ours.total == pytest.approx(theirs, abs=15.0)
    assert len(ours.online) == len(psutil.cpu_percent(percpu=True))
    assert ours.ctx_switches_s is not None
    assert ours.ctx_switches_s > 0


def test_load_agrees_with_psutil() -> None:
    assert LoadAverage().read() == pytest.approx(psutil.getloadavg(), abs=1.0)


def test_network_counters_lie_between_two_readings_of_psutil() -> None:
    before = psutil.net_io_counters(pernic=True, nowrap=False)
    ours = NetDevices().read()
    after = psutil.net_io_counters(pernic=True, nowrap=False)
    carrying = {name for name, nic in before.items() if name != "lo" and nic.packets_sent + nic.packets_recv}
    assert carrying <= set(ours)
    for name in carrying:
        assert before[name].bytes_recv <= ours[name].counters["rx_bytes"] <= after[name].bytes_recv
        assert before[name].bytes_sent <= ours[name].counters["tx_bytes"] <= after[name].bytes_sent


def test_disk_counters_lie_between_two_readings_of_psutil() -> None:
    before = psutil.disk_io_counters(perdisk=True, nowrap=False)
    try:
        ours = Disks().read()
    except Absent:
        ours = {}
    after = psutil.disk_io_counters(perdisk=True, nowrap=False)
    assert set(ours) <= set(after)
    for name, disk in ours.items():
        assert before[name].read_bytes <= disk.read_b <= after[name].read_bytes
        assert before[name].write_bytes <= disk.write_b <= after[name].write_bytes
