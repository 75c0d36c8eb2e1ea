"""Machines that are made up: the same for one seed, and each does what its name says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.sim import NS
from vmstatd.decode import decode
from vmstatd.rates import rates
from vmstatd.simulated import KINDS, SimulatedHost, SimulatedMachine

T0_NS = 1_800_000_000 * NS


def machine(kind: str, number: int = 0) -> SimulatedMachine:
    return SimulatedMachine(KINDS.index(kind) + number * len(KINDS), seed=1)


def walk(one: SimulatedMachine, seconds: int, step_s: int = 10) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and statistics of a machine, every ``step_s``."""
    for at_s in range(0, seconds, step_s):
        ts_ns = T0_NS + at_s * NS
        stats = one.stats(ts_ns, ts_ns // NS)
        yield one.ID(), stats


def test_any_number_of_machines_each_with_names_of_its_own() -> None:
    host = SimulatedHost(200, lambda: T0_NS, lambda: T0_NS / NS)
    rows = host.getAllDomainStats(63, 0)
    assert len({domain.UUIDString() for domain, _ in rows}) == len({domain.name() for domain, _ in rows}) == 200
    running = [domain.ID() for domain, _ in rows if domain.ID() >= 0]
    assert len(set(running)) == len(running)
    assert {domain.name().split("-")[1] for domain, _ in rows} == set(KINDS)


@settings(max_examples=25)
@given(st.integers(0, 30), st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_restarted_simulator_goes_on_where_it_was(number: int, seed: int, at_s: int) -> None:
    ts_ns = T0_NS + at_s * NS
    before = SimulatedMachine(number, seed)
    before.stats(T0_NS, T0_NS // NS)
    again = SimulatedMachine(number, seed)
    assert before.stats(ts_ns, ts_ns // NS) == again.stats(ts_ns, ts_ns // NS)
    assert (before.ID(), before.UUIDString()) == (again.ID(), again.UUIDString())


@pytest.mark.parametrize("kind", KINDS)
def test_counters_never_go_back_within_a_run(kind: str) -> None:
    last: dict[int, dict[str, int]] = {}
    counters = ("cputime_ns", "cpu_user_ns", "swap_in_kb", "swap_out_kb", "major_faults", "minor_faults")
    for vmid, stats in walk(machine(kind), 4000, 7):
        if vmid < 0:
            continue
        sample = decode(stats)
        now = {key: sample.values[key] for key in counters} | sample.blocks["vda"] | next(iter(sample.nets.values()))
        assert all(now[key] >= last.get(vmid, now)[key] for key in now)
        last[vmid] = now


def test_leak_fills_its_memory_and_is_started_anew() -> None:
    runs: dict[int, list[int]] = {}
    for vmid, stats in walk(machine("leak"), 4000):
        values = decode(stats).values
        runs.setdefault(vmid, []).append(values["guest_available_kb"] - values["guest_usable_kb"])
    assert len(runs) >= 3
    whole = list(runs.values())[1]
    assert whole == sorted(whole) and whole[-1] > 5 * whole[0]


def test_stall_has_a_slow_disk_now_and_then() -> None:
    samples = [decode(stats) for _, stats in walk(machine("stall"), 1300)]
    found = [rates(a, b, 10.0) for a, b in itertools.pairwise(samples)]
    latencies = sorted(rate["block_latency_ms"] for rate in found if "block_latency_ms" in rate)
    assert latencies[-1] > 10 * latencies[len(latencies) // 4]


def test_swap_swaps_by_turns_and_others_do_not() -> None:
    def swapping(kind: str) -> set[bool]:
        samples = [decode(stats) for _, stats in walk(machine(kind), 1900)]
        return {rates(a, b, 10.0)["swap_out_kb_s"] > 0 for a, b in itertools.pairwise(samples)}

    assert swapping("swap") == {True, False}
    assert swapping("idle") == {False}


def test_batch_is_off_between_its_runs() -> None:
    ids = [vmid for vmid, _ in walk(machine("batch"), 1300)]
    assert -1 in ids and len(set(ids) - {-1}) >= 3
    off = next(stats for vmid, stats in walk(machine("batch"), 1300) if vmid < 0)
    assert decode(off).state == "stopped"


def test_idle_idles_and_spike_does_not() -> None:
    def most_pct(kind: str) -> float:
        used = [decode(stats).values["cputime_ns"] for _, stats in walk(machine(kind), 600)]
        vcpus = decode(machine(kind).stats(T0_NS, 0)).values["cpu_count"]
        return max((b - a) / 10 / 1e7 for a, b in itertools.pairwise(used)) / vcpus

    assert most_pct("idle") < 3.0
    assert most_pct("spike") > 60.0
