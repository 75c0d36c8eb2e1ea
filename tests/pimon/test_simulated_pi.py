from __future__ import annotations

import itertools

import pytest

from benchlab.catalog import unknown_keys
from benchlab.sim import NS, LoadModel
from pimon.sampler import Options, sampler_of
from pimon.simulated import CAPACITY_WH, CHARGE_S, DISCHARGE_S, WORKS, SimulatedSampler
from pimon.snapshot import Battery, BatterySample, event_kv
from pimon.sources import sources_of

START_NS = 1_763_800_000_000_000_000 // (20 * NS) * (20 * NS)


class Pi:
    """A simulated Pi and the clock that the test moves."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.sampler = SimulatedSampler(LoadModel(), lambda: self.now_ns, START_NS, 10)

    def at(self, seconds: float) -> BatterySample:
        self.now_ns = START_NS + round(seconds * NS)
        return self.sampler.battery()

    def row(self, seconds: float) -> Battery:
        return self.at(seconds).batteries[0]


def test_charge_that_is_gone_is_the_energy_that_was_drawn() -> None:
    pi = Pi()
    drawn_j = sum(pi.sampler.power_w(START_NS + second * NS) for second in range(3600))
    before, after = pi.row(0).energy_wh, pi.row(3600).energy_wh
    assert before is not None and after is not None
    assert (before - after) * 3600 == pytest.approx(drawn_j, rel=1e-3)
    assert 3.0 < before - after < 8.0


def test_battery_runs_down_is_charged_and_ends_where_it_began() -> None:
    pi = Pi()
    down = [pi.at(second).capacity_pct or 0.0 for second in range(0, DISCHARGE_S, 60)]
    up = [pi.at(DISCHARGE_S + second).capacity_pct or 0.0 for second in range(0, CHARGE_S, 60)]
    assert all(later < earlier for earlier, later in itertools.pairwise(down))
    assert all(later > earlier for earlier, later in itertools.pairwise(up))
    assert 0.0 < min(down) < 60.0
    assert pi.at(DISCHARGE_S + CHARGE_S).capacity_pct == down[0]


@pytest.mark.parametrize("seconds", [10, DISCHARGE_S - 1, DISCHARGE_S + 10])
def test_signs_and_product_of_a_reading(seconds: int) -> None:
    found = Pi().at(seconds)
    assert found.voltage_v is not None and found.current_a is not None and found.power_w is not None
    assert (found.current_a < 0, found.power_w < 0) == ((found.status == "Discharging"),) * 2
    assert found.power_w == pytest.approx(found.voltage_v * found.current_a, abs=1e-3)
    assert 3.0 < found.voltage_v < 4.4
    assert found.capacity_pct is not None and found.capacity_pct < 100.0 <= CAPACITY_WH * 3


def test_restarted_simulator_goes_on_where_it_was() -> None:
    first, second = Pi(), Pi()
    for seconds in (100, 7000, DISCHARGE_S + 100):
        first.at(seconds)
    assert first.at(9000.5) == second.at(9000.5)
    assert first.sampler.sample() == second.sampler.sample()


def test_every_kind_of_work_comes_and_power_is_more_than_the_load() -> None:
    pi = Pi()
    times = [START_NS + second * NS for second in range(0, DISCHARGE_S, 20)]
    assert {pi.sampler.work(ts_ns).name for ts_ns in times} == {work.name for work in WORKS}
    powers: dict[str, list[float]] = {}
    for ts_ns in times:
        powers.setdefault(pi.sampler.work(ts_ns).name, []).append(pi.sampler.power_w(ts_ns))
    means = {name: sum(watts) / len(watts) for name, watts in powers.items()}
    assert means["idle"] < means["office"] < means["video"] < means["game"]


def test_counters_never_go_back() -> None:
    pi = Pi()
    seen = []
    for seconds in range(0, 2000, 7):
        pi.now_ns = START_NS + seconds * NS
        system = pi.sampler.system()
        seen.append((system.interfaces[0].rx_bytes, system.interfaces[0].tx_packets, system.disks[0].write_b))
    assert all(a <= b for first, second in itertools.pairwise(seen) for a, b in zip(first, second, strict=True))


def test_processes_use_what_the_processor_is_busy_with() -> None:
    pi = Pi()
    for seconds in range(0, 3600, 20):
        pi.now_ns = START_NS + seconds * NS
        used = sum(process.cpu_pct or 0.0 for process in pi.sampler.processes(1000))
        assert used == pytest.approx(max(2.1, 400.0 * pi.sampler.busy(pi.now_ns)), abs=0.1)
        pids = [process.pid for process in pi.sampler.processes(1000)]
        assert len(set(pids)) == len(pids)


def test_all_of_it_is_marked_and_in_the_catalog() -> None:
    sampler = sampler_of(Options(load=LoadModel(), now_ns=lambda: START_NS + NS, starts_ns=START_NS))
    assert "simulated" in str(event_kv(sampler.hardware))
    for source in sources_of(sampler, lambda: START_NS + NS, 5.0, True):
        for reading in source.sample():
            assert reading.sim
            assert unknown_keys(source.name, reading.kv.items()) == []
