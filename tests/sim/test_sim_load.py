"""The load that all simulators share, and its chance and distributions."""

from __future__ import annotations

import math
import random
import statistics
from itertools import pairwise

import pytest

from benchlab.sim import NS, Chance, LoadModel, LogNormal

NOW = 1_763_800_000 * NS
STEP = 20 * NS


def test_load_steps_every_20_s_and_every_step_is_visible() -> None:
    model = LoadModel()
    first = NOW - NOW % STEP
    levels = [model.load(first + k * STEP) for k in range(100)]
    assert all(abs(a - b) > 0.1 for a, b in pairwise(levels))
    for k, level in enumerate(levels):
        assert model.load(first + k * STEP + 1) == model.load(first + (k + 1) * STEP - 1) == level
        assert 0.0 <= level <= 1.0


def test_two_simulators_agree_on_the_load_whatever_they_asked_before() -> None:
    times = [NOW + k * 7_777_777_777 for k in range(200)]
    forward = [LoadModel().load(t) for t in times]
    asked_backwards = LoadModel()
    assert [asked_backwards.load(t) for t in reversed(times)] == forward[::-1]
    assert [LoadModel(seed=2).load(t) for t in times] != forward


def test_power_follows_load_exactly_100_ms_behind() -> None:
    model = LoadModel()
    step = NOW - NOW % STEP + STEP
    before, after = model.load(step - 1), model.load(step)
    assert model.power_w(step + 100_000_000 - 1, 100.0, 300.0) == pytest.approx(100.0 + 200.0 * before)
    assert model.power_w(step + 100_000_000, 100.0, 300.0) == pytest.approx(100.0 + 200.0 * after)
    for k in range(500):
        t = NOW + k * 37_000_000
        assert model.power_w(t + 100_000_000, 0.0, 1.0) == pytest.approx(model.load(t))


def test_energy_is_the_exact_integral_of_power() -> None:
    model = LoadModel(step_s=0.5)
    chance = random.Random(3)
    for _ in range(20):
        start = NOW + chance.randrange(10 * NS)
        end = start + chance.randrange(12 * NS)
        knots = [t + model.lag_ns for t in range(start - start % (NS // 2) - NS, end + NS, NS // 2)]
        cuts = [start, *(t for t in knots if start < t < end), end]
        expected = math.fsum(model.power_w(a, 90.0, 400.0) * (b - a) / NS for a, b in pairwise(cuts))
        assert model.energy_j(start, end, 90.0, 400.0) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_energy_counter_stays_exact_after_years() -> None:
    model = LoadModel()
    boot = NOW - 10 * 365 * 86_400 * NS
    total = model.energy_j(boot, NOW + NS)
    assert total - model.energy_j(boot, NOW) == pytest.approx(model.energy_j(NOW, NOW + NS), rel=1e-6)
    assert model.energy_j(NOW, NOW) == 0.0


def test_mean_power_is_halfway_over_a_block_of_steps() -> None:
    model = LoadModel()
    start = NOW - NOW % (8 * STEP) + model.lag_ns
    assert model.energy_j(start, start + 8 * STEP, 92.0, 400.0) / 160.0 == pytest.approx(246.0)


def test_heat_follows_load_with_its_time_constant() -> None:
    model = LoadModel(step_s=1000.0)
    step = NOW - NOW % (1000 * NS) + model.lag_ns
    start, goal = model.heat(step, 10.0), model.load(step)
    assert model.heat(step + 10 * NS, 10.0) == pytest.approx(goal + (start - goal) / math.e, rel=1e-9)
    assert model.heat(step + 999 * NS, 10.0) == pytest.approx(goal, abs=1e-9)


def test_heat_is_continuous_across_steps_and_the_same_after_a_restart() -> None:
    model = LoadModel(step_s=2.0)
    times = [NOW + k * NS // 10 for k in range(300)]
    heats = [model.heat(t, 25.0) for t in times]
    assert max(abs(a - b) for a, b in pairwise(heats)) < 0.01
    assert [LoadModel(step_s=2.0).heat(t, 25.0) for t in times] == heats


def test_log_normal_has_the_median_and_p99_it_was_given() -> None:
    latency = LogNormal(median=10.5, p99=25.0)
    assert latency.at(0.0) == pytest.approx(10.5)
    assert latency.at(statistics.NormalDist().inv_cdf(0.99)) == pytest.approx(25.0)
    assert LogNormal(5.0, 5.0).at(3.0) == pytest.approx(5.0)


@pytest.mark.parametrize(("median", "p99"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_impossible_distributions_are_refused(median: float, p99: float) -> None:
    with pytest.raises(ValueError, match="median"):
        LogNormal(median, p99)


@pytest.mark.parametrize(("step_s", "lag_ms"), [(0.0, 100.0), (math.nan, 100.0), (20.0, -1.0), (20.0, math.inf)])
def test_impossible_loads_are_refused(step_s: float, lag_ms: float) -> None:
    with pytest.raises(ValueError, match="step"):
        LoadModel(step_s=step_s, lag_ms=lag_ms)


def test_chance_is_even_normal_and_apart_for_each_salt() -> None:
    chance = Chance(1, "a")
    even = [chance.uniform(n) for n in range(20_000)]
    assert statistics.fmean(even) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 20_000))
    assert min(even) > 0.0
    assert max(even) < 1.0
    normal = [chance.normal(n) for n in range(20_000)]
    assert statistics.fmean(normal) == pytest.approx(0.0, abs=4 / math.sqrt(20_000))
    assert statistics.pstdev(normal) == pytest.approx(1.0, abs=4 / math.sqrt(40_000))
    other = [Chance(1, "b").uniform(n) for n in range(20_000)]
    assert abs(statistics.correlation(even, other)) < 4 / math.sqrt(20_000)
    neighbours = statistics.correlation(even[:-1], even[1:])
    assert abs(neighbours) < 4 / math.sqrt(20_000)
