"""What becomes of machines between polls, what is recorded of them, and how the collection fares."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.catalog import unknown_keys
from benchlab.catalog.vm import ALWAYS, field_names
from benchlab.daemon import Reading, Transient
from support.fake_libvirt import Libvirt, LibvirtError, Machine, recorded, ticking
from vmstatd.host import BALLOON, BLOCK, CPU, NET, STATE, VCPU, is_remote
from vmstatd.policy import Policy
from vmstatd.poller import Poller
from vmstatd.source import Statistics, StatisticsSource, VmSource, keep_young

GUEST = recorded("guest")
OFF = {"state.state": 5, "state.reason": 1, "cpu.time": 0, "balloon.current": 131072, "balloon.maximum": 131072}
NOW_S = 1_795_539_442.0


class Bench:
    """A source over made-up machines."""

    def __init__(self, *machines: Machine, fields: tuple[str, ...] = (), every: dict[str, float] | None = None) -> None:
        self.libvirt = Libvirt(*machines)
        self.statistics = Statistics(5)
        self.wall_s = NOW_S
        now_ns = ticking(500_000_000)
        policy = Policy(fields, every or {}, 1.0)
        poller = Poller("qemu:///system", self.libvirt.open, policy.groups, now_ns)
        self.source = VmSource(poller, policy, self.statistics, now_ns, 1.0, wall_s=lambda: self.wall_s)

    def poll(self) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
        """Return what happened, and the readings by name."""
        readings = self.source.sample()
        told = [reading.kv for reading in readings if reading.source == "meta"]
        return told, {str(r.kv["name"]): r.kv for r in readings if r.source is None}

    def told(self) -> list[tuple[Any, Any]]:
        return [(kv["event"], kv["vmid"]) for kv in self.poll()[0]]


def test_first_poll_tells_no_story_and_no_rates() -> None:
    told, readings = Bench(Machine("a", GUEST, 4), Machine("off", OFF, -1)).poll()
    assert told == []
    a, off = readings["a"], readings["off"]
    assert (a["vmid"], a["state"], a["memory_used_kb"], a["memory_used_from"]) == (4, "running", 21_972, "guest")
    assert not [key for key in a if key.endswith(("_pct", "_s", "_deg", "_sec"))]
    assert (off["vmid"], off["state"], off["memory_max_kb"]) == (0, "stopped", 131_072)
    assert "memory_used_kb" not in off and "cputime_ns" not in off


def test_every_key_is_in_the_catalog() -> None:
    bench = Bench(Machine("a", GUEST))
    bench.poll()
    kv = bench.poll()[1]["a"]
    assert unknown_keys("vm.libvirt", kv.items()) == []
    assert {"cpu_pct", "memory_rate_kb_per_sec", "memory_angle_deg", "vcpu_wait_pct", "block_wr_bytes_s"} <= kv.keys()
    (reading,) = StatisticsSource(bench.statistics).sample()
    assert unknown_keys("self.vm", reading.kv.items()) == []


def test_name_may_be_anything() -> None:
    name = 'web, "one" two=3\\ ü 漢\t'
    assert Bench(Machine(name, GUEST)).poll()[1][name]["name"] == name


def test_stop_keeps_the_number_and_the_next_run_has_no_rates() -> None:
    machine = Machine("a", GUEST, 4)
    bench = Bench(machine)
    bench.poll()
    assert "cpu_pct" in bench.poll()[1]["a"]
    machine.vmid, machine.stats = -1, dict(OFF)
    told, readings = bench.poll()
    assert [(kv["event"], kv["vmid"], kv["reason"]) for kv in told] == [("vm_stopped", 4, "shutdown")]
    assert (readings["a"]["vmid"], readings["a"]["state"]) == (4, "stopped")
    machine.vmid, machine.stats = 9, dict(GUEST)
    told, readings = bench.poll()
    assert [(kv["event"], kv["vmid"]) for kv in told] == [("vm_started", 9)]
    assert "cpu_pct" not in readings["a"]
    assert "cpu_pct" in bench.poll()[1]["a"]


def test_restart_between_two_polls_is_a_stop_and_a_start() -> None:
    machine = Machine("a", GUEST, 4)
    bench = Bench(machine)
    bench.poll()
    machine.vmid = 5
    told, readings = bench.poll()
    assert [(kv["event"], kv["vmid"]) for kv in told] == [("vm_stopped", 4), ("vm_started", 5)]
    assert "cpu_pct" not in readings["a"] and "memory_rate_kb_per_sec" not in readings["a"]


def test_pause_and_resume() -> None:
    machine = Machine("a", GUEST, 4)
    bench = Bench(machine)
    bench.poll()
    machine.stats |= {"state.state": 3, "state.reason": 5}
    told, readings = bench.poll()
    assert [(kv["event"], kv["state"], kv["reason"]) for kv in told] == [("vm_paused", "paused", "ioerror")]
    assert readings["a"]["state"] == "paused"
    assert bench.told() == []
    machine.stats |= {"state.state": 1, "state.reason": 5}
    assert bench.told() == [("vm_resumed", 4)]


def test_migration_out_and_in() -> None:
    machine = Machine("a", GUEST, 4)
    bench = Bench(machine)
    bench.poll()
    machine.vmid, machine.stats = -1, {**OFF, "state.reason": 4}
    told, _ = bench.poll()
    assert [(kv["event"], kv["direction"]) for kv in told] == [("vm_migrated", "out")]
    bench.libvirt.machines.append(Machine("b", {**GUEST, "state.reason": 2}, 7))
    told, _ = bench.poll()
    assert [(kv["event"], kv["direction"], kv["name"]) for kv in told] == [("vm_migrated", "in", "b")]


def test_machine_that_appears_running_was_started_and_one_that_goes_is_gone() -> None:
    bench = Bench(Machine("a", GUEST))
    bench.poll()
    bench.libvirt.machines += [Machine("b", GUEST, 2), Machine("defined", OFF, -1)]
    assert bench.told() == [("vm_started", 2)]
    del bench.libvirt.machines[1:]
    assert sorted(bench.told()) == [("vm_gone", 0), ("vm_gone", 2)]
    assert bench.told() == []


def test_rename_is_told_and_keeps_the_rates() -> None:
    machine = Machine("a", GUEST)
    bench = Bench(machine)
    bench.poll()
    machine.title = "b"
    told, readings = bench.poll()
    assert [(kv["event"], kv["before"], kv["name"]) for kv in told] == [("vm_renamed", "a", "b")]
    assert "cpu_pct" in readings["b"]


def test_memory_taken_from_something_else_is_told_and_has_no_rate() -> None:
    bench = Bench(Machine("a", GUEST))
    bench.poll()
    bench.wall_s += 3600.0
    told, readings = bench.poll()
    assert [(kv["event"], kv["before"], kv["now"]) for kv in told] == [("memory_source_changed", "guest", "rss")]
    assert "memory_rate_kb_per_sec" not in readings["a"] and "cpu_pct" in readings["a"]
    assert bench.poll()[1]["a"]["memory_rate_kb_per_sec"] == 0.0


def test_machine_that_is_busy_tells_half_and_its_balloon_is_not_taken_for_what_it_uses() -> None:
    machine = Machine("a", GUEST)
    bench = Bench(machine)
    bench.poll()
    machine.stats = recorded("stuck")
    told, readings = bench.poll()
    assert told == []
    kv = readings["a"]
    assert "memory_used_kb" not in kv and "memory_used_from" not in kv and "block_wr_bytes" not in kv
    assert (kv["balloon_kb"], kv["cputime_ns"]) == (131_072, GUEST["cpu.time"])
    machine.stats = dict(GUEST)
    told, readings = bench.poll()
    assert told == [] and readings["a"]["memory_used_from"] == "guest"
    assert "memory_rate_kb_per_sec" not in readings["a"]
    assert "memory_rate_kb_per_sec" in bench.poll()[1]["a"]


def test_statistics_count_failed_polls_too() -> None:
    bench = Bench(Machine("a", GUEST), Machine("off", OFF, -1))
    (reading,) = StatisticsSource(bench.statistics).sample()
    assert "last_collection_time_ns" not in reading.kv
    bench.poll()
    bench.poll()
    bench.libvirt.error = LibvirtError(38, "gone", 104)
    with pytest.raises(Transient):
        bench.source.sample()
    s = bench.statistics
    assert (s.started_at_ns, s.total_collections, s.total_errors, s.vms_monitored) == (5, 3, 1, 0)
    assert s.total_metrics_written == 5  # four events, one of them with features
    assert s.last_collection_time_ns > 0
    assert bench.source.status() == "vms_monitored 0, total_collections 3, total_errors 1, total_metrics_written 5"


def test_fields_that_are_not_asked_for_are_not_recorded_but_the_identity_is() -> None:
    bench = Bench(Machine("a", GUEST), fields=("cpu_pct", "block_*"))
    bench.poll()
    kv = bench.poll()[1]["a"]
    assert {*ALWAYS, "cpu_pct", "block_wr_bytes"} <= kv.keys()
    assert all(key in (*ALWAYS, "cpu_pct") or key.startswith("block_") for key in kv)


def test_field_that_is_recorded_now_and_then_is_in_the_first_event_of_a_machine() -> None:
    bench = Bench(Machine("a", GUEST), every={"vcpus": 3, "net_*": 2, "*": 1})
    seen = [bench.poll()[1]["a"].keys() for _ in range(7)]
    assert ["vcpus" in keys for keys in seen] == [True, False, False, True, False, False, True]
    assert ["net_rx_bytes" in keys for keys in seen] == [True, False] * 3 + [True]
    assert all("cputime_ns" in keys for keys in seen)


@pytest.mark.parametrize(
    ("fields", "groups"),
    [
        ((), STATE | CPU | BALLOON | VCPU | NET | BLOCK),
        (("name",), STATE),
        (("cputime_ns",), STATE | CPU),
        (("memory_*",), STATE | BALLOON),
        (("cpu_count", "nets"), STATE | VCPU | NET),
        (("vcpu_wait_pct", "block_latency_ms"), STATE | VCPU | BLOCK),
        (("swap_in_kb_s", "major_faults"), STATE | BALLOON),
    ],
)
def test_only_what_is_recorded_is_asked_for(fields: tuple[str, ...], groups: int) -> None:
    assert Policy(fields, {}, 1.0).groups == groups


def test_every_field_is_told_by_the_groups_that_are_asked_for_it() -> None:
    """A field alone is recorded as it is among all: nothing it needs is left out."""
    whole = Bench(Machine("a", GUEST))
    whole.poll()
    expected = whole.poll()[1]["a"]
    needs = {CPU: "cpu.", BALLOON: "balloon.", VCPU: "vcpu.", NET: "net.", BLOCK: "block."}
    for name in field_names():
        groups = Policy((name,), {}, 1.0).groups
        kept = {k: v for k, v in GUEST.items() if not any(k.startswith(p) and not g & groups for g, p in needs.items())}
        bench = Bench(Machine("a", kept), fields=(name,))
        bench.poll()
        assert bench.poll()[1]["a"].get(name) == expected.get(name), name


@pytest.mark.parametrize(
    ("uri", "remote"),
    [
        ("qemu:///system", False),
        ("test:///default", False),
        ("qemu+ssh://ops@lab7/system", True),
        ("qemu+tcp://127.0.0.1/system", False),
        ("qemu+unix:///system?socket=/run/x", False),
    ],
)
def test_machines_of_another_host_are_known_as_such(uri: str, remote: bool) -> None:
    assert is_remote(uri) is remote


def test_readings_bear_the_uuid_and_the_time_of_their_call() -> None:
    bench = Bench(Machine("a", GUEST), Machine("b", GUEST, 2))
    first, second = bench.source.sample()
    assert first.dev != second.dev and first.dev is not None
    assert first.ts_ns == second.ts_ns and first.unc_ns is not None and first.unc_ns > 0


@given(st.integers(0, 10**12), st.integers(0, 10**10), st.integers(0, 10**12))
def test_old_reading_becomes_younger_and_less_certain_but_no_less_true(ts_ns: int, unc_ns: int, oldest_ns: int) -> None:
    reading = Reading({}, ts_ns=ts_ns, unc_ns=unc_ns)
    keep_young(reading, oldest_ns)
    assert reading.ts_ns is not None and reading.unc_ns is not None
    assert reading.ts_ns >= oldest_ns
    assert reading.ts_ns - reading.unc_ns <= ts_ns - unc_ns
    assert reading.ts_ns + reading.unc_ns >= ts_ns + unc_ns
    assert ts_ns < oldest_ns or (reading.ts_ns, reading.unc_ns) == (ts_ns, unc_ns)
