"""What VMs cost, against hosts whose every joule is known, and all the ways in which it must not be guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.event import Event
from muxd.engine import Engine, EngineState
from muxd.rows import VM_ENERGY, SignalRow
from muxd.streams import Hold
from support.mux_sessions import MS, NS, SETTINGS

EXAMPLES = settings(max_examples=40, deadline=None)
T0 = 1_763_800_000_123_456_789
CORES = [{"core": n} for n in range(8)]
Load = Callable[[int], float]  # processors busy at a time in ns since T0


class Host:
    """A machine in steps of 100 ms: each VM and the host's own programs use processors; a busy one draws ``watts``."""

    def __init__(self, seconds: int, loads: dict[str, Load], own: Load, watts: float = 10.0, idle_w: float = 0.0):
        self.steps, self.loads, self.own, self.watts, self.idle_w = seconds * 10, loads, own, watts, idle_w
        self.rapl, self.cpu, self.vms = [started("cpu.rapl", 100)], [started("cpu.psutil", 100)], [started(VM, 5000)]
        self.cpu_ns = dict.fromkeys(loads, 10**12)
        self.joules = 4000.0

    def run(self, every_s: int = 5, offset_ns: int = 0) -> Host:
        """Record it; ``offset_ns`` puts the VMs' events between the host's."""
        for step in range(self.steps):
            at_ns = T0 + step * 100 * MS
            used = {name: load(step * 100 * MS) for name, load in self.loads.items()}
            busy = sum(used.values()) + self.own(step * 100 * MS)
            self.rapl.append(Event(at_ns, "cpu.rapl", {"package_j": self.joules}))
            self.cpu.append(Event(at_ns, "cpu.psutil", {"cpu_util": 100 * self.before / 8, "cores": CORES}))
            if step % (every_s * 10) == 0:
                for number, name in enumerate(used):
                    cpu_ns = self.cpu_ns[name] + round(used[name] * offset_ns)
                    self.vms.append(Event(at_ns + offset_ns, VM, running(number, cpu_ns), dev=name))
            for name, load in used.items():
                self.cpu_ns[name] += round(load * 100 * MS)
            self.joules += (busy * self.watts + self.idle_w) * 0.1
            self.before = busy
        return self

    before = 0.0

    def rows(self) -> list[SignalRow]:
        return energy_rows({"telemetry": sorted(self.rapl + self.cpu, key=lambda e: e.ts_ns), "vmstat": self.vms})


VM = "vm.libvirt"


def started(source: str, period_ms: int, **more: Any) -> Event:
    return Event(T0 - 1, "meta", {"event": "start", "sources": [{"source": source, "period_ms": period_ms, **more}]})


def running(vmid: int, cpu_ns: int, state: str = "running") -> dict[str, Any]:
    return {"vmid": vmid, "name": f"guest {vmid}", "state": state, "cputime_ns": cpu_ns}


def energy_rows(streams: dict[str, Sequence[Event]]) -> list[SignalRow]:
    engine = Engine(SETTINGS)
    for name, events in streams.items():
        assert engine.feed(name, events, lambda i: i) == []
    found = engine.advance(dict.fromkeys(streams, Hold.EXCUSED)).signals + engine.finish().signals
    return [row for row in found if row.source == VM_ENERGY]


def of(rows: Iterable[SignalRow], dev: str | None) -> list[dict[str, Any]]:
    return [row.kv for row in rows if row.dev == dev]


def test_a_vm_is_given_the_joules_that_its_processor_time_drew() -> None:
    host = Host(61, {"a": lambda t: 0.5, "b": lambda t: 2.0}, lambda t: 1.5, watts=7.0).run()
    rows = host.rows()
    assert [len(of(rows, dev)) for dev in ("a", "b", None)] == [12, 12, 12]
    for kv in of(rows, "a"):
        assert kv["energy_j"] == pytest.approx(0.5 * 7 * 5, rel=1e-9)
        assert kv["power_w"] == pytest.approx(3.5, rel=1e-9)
        assert kv["share_pct"] == pytest.approx(12.5)
        assert (kv["cpu_s"], kv["host_cpu_s"], kv["interval_s"]) == pytest.approx((2.5, 20.0, 5.0))
        assert kv["idle_pct"] == pytest.approx(50.0)
    assert all(kv["energy_j"] == pytest.approx(70.0, rel=1e-9) for kv in of(rows, "b"))
    for kv in of(rows, None):
        assert kv["energy_j"] == pytest.approx(1.5 * 7 * 5, rel=1e-9)
        assert (kv["vms"], kv["package_j"]) == (2, pytest.approx(140.0))


@EXAMPLES
@given(st.integers(0, 2**32))
def test_given_and_rest_are_the_integral_of_what_the_packages_drew(seed: int) -> None:
    """Loads change at each poll, so that within an interval they are constant and the true joules are known."""
    random = Random(seed)
    plan = {name: [random.choice([0.0, random.uniform(0, 2)]) for _ in range(9)] for name in ("a", "b", "c")}
    own, watts = [random.uniform(0.1, 2) for _ in range(9)], random.uniform(1, 40)
    offset_ns = random.choice([0, random.randint(1, 100 * MS - 1)])

    def by(loads: list[float]) -> Load:
        return lambda t: loads[min(8, t // (5 * NS))]

    host = Host(46, {name: by(loads) for name, loads in plan.items()}, by(own), watts, idle_w=0.0)
    rows = host.run(offset_ns=0).rows()
    for name, loads in plan.items():
        assert [kv["energy_j"] for kv in of(rows, name)] == pytest.approx(
            [5 * watts * load for load in loads], abs=1e-4
        )
    assert [kv["energy_j"] for kv in of(rows, None)] == pytest.approx([5 * watts * load for load in own], abs=1e-4)
    shifted = Host(46, {name: by(loads) for name, loads in plan.items()}, by(own), watts, idle_w=5.0)
    rows = shifted.run(offset_ns=offset_ns).rows()
    total = sum(kv["energy_j"] for kv in (row.kv for row in rows))
    a_ns, b_ns = offset_ns, 45 * NS + offset_ns
    assert total == pytest.approx(drawn(shifted, b_ns) - drawn(shifted, a_ns), rel=1e-9)


def drawn(host: Host, at_ns: int) -> float:
    """Return what the counter would have shown, on the straight line between two readings."""
    readings = [(e.ts_ns - T0, e.kv["package_j"]) for e in host.rapl if e.source == "cpu.rapl"]
    (a, low), (b, high) = readings[at_ns // (100 * MS)], readings[min(at_ns // (100 * MS) + 1, len(readings) - 1)]
    return float(low + (high - low) * (at_ns - a) / (b - a) if b > a else low)


def test_idle_energy_goes_by_busy_time_and_the_row_says_how_idle_it_was() -> None:
    rows = Host(21, {"a": lambda t: 1.0}, lambda t: 1.0, watts=10.0, idle_w=30.0).run().rows()
    for kv in of(rows, "a"):
        assert kv["energy_j"] == pytest.approx((2 * 10 + 30) / 2 * 5)
        assert kv["idle_pct"] == pytest.approx(75.0)


def test_nothing_is_forced_to_a_hundred_percent() -> None:
    host = Host(21, {"a": lambda t: 3.0}, lambda t: 1.0).run()
    for event in host.vms[1:]:
        event.kv["cputime_ns"] *= 2  # the hypervisor says more than the host saw
    rows = host.rows()
    assert [kv["share_pct"] for kv in of(rows, "a")] == pytest.approx([150.0] * 4)
    assert [kv["energy_j"] for kv in of(rows, None)] == pytest.approx([-100.0] * 4)


def test_without_rapl_there_is_a_reason_and_no_zero() -> None:
    host = Host(31, {"a": lambda t: 1.0, "b": lambda t: 1.0}, lambda t: 1.0).run()
    host.rapl = []
    rows = host.rows()
    assert [(row.dev, row.kv) for row in rows] == [(dev, {"energy_why": "no_source"}) for dev in ("a", "b", None)]


def test_without_the_hosts_processor_time_there_is_a_reason() -> None:
    host = Host(31, {"a": lambda t: 1.0}, lambda t: 1.0).run()
    host.cpu = []
    assert of(host.rows(), "a") == [{"energy_why": "no_host_cpu"}]


def test_vms_of_another_host_are_given_nothing_of_this_one() -> None:
    host = Host(31, {"a": lambda t: 1.0}, lambda t: 1.0).run()
    host.vms[0] = started(VM, 5000, remote=True)
    assert [row.kv for row in host.rows()] == [{"energy_why": "remote"}] * 2


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (lambda host: change(host.vms, 3, vmid=7), "restarted"),
        (lambda host: count_anew(host.vms, 3), "counter_reset"),
        (lambda host: cut(host.vms, 3, 2), "gap"),
        (lambda host: cut(host.rapl, 120, 30), "gap"),
        (lambda host: host.rapl.insert(130, source_down(host.rapl[130].ts_ns, "cpu.rapl")), "gap"),
        (lambda host: host.rapl.insert(130, msgspec.structs.replace(host.rapl[0], ts_ns=host.rapl[130].ts_ns)), "gap"),
        (lambda host: change(host.rapl, 130, package_j=0.0), "gap"),
        (lambda host: cut(host.cpu, 120, 30), "no_host_cpu"),
    ],
)
def test_across_a_break_there_is_no_energy_but_a_reason(trouble: Callable[[Host], None], why: str) -> None:
    host = Host(41, {"a": lambda t: 1.0}, lambda t: 1.0).run()
    trouble(host)
    rows = of(host.rows(), "a")
    assert [kv["energy_why"] for kv in rows if "energy_why" in kv][:1] == [why]
    assert 5 <= len([kv for kv in rows if "energy_j" in kv]) <= 7
    assert all(kv["energy_j"] == pytest.approx(50.0) for kv in rows if "energy_j" in kv)
    assert "energy_j" in rows[-1]


def change(events: list[Event], at: int, **kv: Any) -> None:
    events[at].kv.update(kv)


def count_anew(events: list[Event], at: int) -> None:
    for event in events[at:]:
        event.kv["cputime_ns"] -= 10**12


def cut(events: list[Event], at: int, count: int) -> None:
    del events[at : at + count]


def source_down(ts_ns: int, which: str) -> Event:
    return Event(ts_ns, "meta", {"event": "source_down", "which": which})


def test_one_missed_poll_is_bridged_and_the_rest_still_adds_up() -> None:
    host = Host(41, {"a": lambda t: 1.0, "b": lambda t: 0.5}, lambda t: 1.0).run()
    del host.vms[5]  # the third poll of one VM
    rows = host.rows()
    assert [kv["interval_s"] for kv in of(rows, "a")] == [5.0, 10.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    assert [kv["energy_j"] for kv in of(rows, None)] == pytest.approx([50.0] * 8)


def test_a_vm_that_stops_leaves_the_others_rest_intact() -> None:
    host = Host(41, {"a": lambda t: 1.0, "b": lambda t: 0.5 if t < 20 * NS else 0.0}, lambda t: 1.0).run()
    for event in host.vms:
        if event.dev == "b" and event.ts_ns > T0 + 20 * NS:
            event.kv = {"vmid": 1, "name": "guest 1", "state": "stopped"}
    rows = host.rows()
    assert len(of(rows, "b")) == 4
    assert [kv["energy_j"] for kv in of(rows, None)] == pytest.approx([50.0] * 8)
    assert [kv["vms"] for kv in of(rows, None)] == [2] * 4 + [1] * 4


def test_simulated_inputs_are_named() -> None:
    host = Host(11, {"a": lambda t: 1.0}, lambda t: 1.0).run()
    for event in host.vms:
        event.sim = True
    assert [(row.sim, row.sim_of) for row in host.rows()] == [(True, [VM])] * 4


def test_a_checkpoint_from_before_there_were_vms_is_gone_on_from() -> None:
    kept = msgspec.to_builtins(Engine(SETTINGS).state())
    del kept["vm_energy"]
    engine = Engine.restored(SETTINGS, msgspec.convert(kept, EngineState))
    assert engine.state().vm_energy.guests == {}


def test_who_has_no_vms_keeps_no_history_for_them() -> None:
    host = Host(600, {}, lambda t: 1.0).run()
    engine = Engine(SETTINGS)
    events = sorted(host.rapl + host.cpu, key=lambda e: e.ts_ns)
    engine.feed("telemetry", events, lambda i: i)
    assert not [row for row in engine.finish().signals if row.source == VM_ENERGY]
    state = engine.state().vm_energy
    assert max(len(counter.knots) for counter in (state.package, state.busy, state.idle)) <= 2
