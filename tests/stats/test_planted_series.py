"""What is planted in a series is found, what is not planted is not, and a forecast's interval holds the truth."""

from __future__ import annotations

import math
from random import Random

import pytest

from benchlab.stats.anomaly import judge
from benchlab.stats.forecast import exhaustion
from benchlab.stats.robust import Point
from support.planted import DAY_S, MEMORY_KB, Planted, noise, plant

KINDS = ["leak"] * 20 + ["spike"] * 20 + ["stall"] * 20 + ["healthy"] * 40
CPU_FLOOR, LATENCY_FLOOR_MS = 2.0, 1.0


def verdicts(vm: Planted) -> set[str]:
    """Return everything that the analysis says of a VM's day."""
    found = {"spike" if one.z > 0 else "stall" for one in judge(vm.cpu_pct, CPU_FLOOR).anomalies}
    found |= {"stall" for _ in judge(vm.latency_ms, LATENCY_FLOOR_MS).anomalies}
    ahead = exhaustion(vm.memory_kb, MEMORY_KB)
    return found | ({"leak"} if ahead and ahead.alarm else set())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_a_hundred_series_nine_in_ten_alarms_are_right_and_nine_in_ten_faults_found(seed: int) -> None:
    random = Random(seed)
    right = wrong = missed = 0
    for kind in KINDS:
        said = verdicts(plant(kind, random))
        right += kind in said
        missed += kind != "healthy" and kind not in said
        wrong += len(said - {kind})
    assert right / (right + wrong) >= 0.9, (right, wrong, missed)
    assert right / (right + missed) >= 0.9, (right, wrong, missed)


@pytest.mark.parametrize("kind", ["spike", "stall"])
def test_an_anomaly_is_where_it_was_planted(kind: str) -> None:
    vm = plant(kind, Random(11))
    (found,) = judge(vm.cpu_pct, CPU_FLOOR).anomalies
    assert found.direction == ("above" if kind == "spike" else "below")
    assert abs(found.start_s - vm.start_s) <= 120
    assert found.value > found.usual if kind == "spike" else found.value < found.usual


@pytest.mark.parametrize("together", [0.0, 0.9, 0.99])
def test_the_interval_of_a_forecast_holds_the_truth_nine_times_in_ten(together: float) -> None:
    """Straight leaks of one hour to a day, sampled every 5 s, under noise that hangs together for up to 8 minutes."""
    random, held, count = Random(5), 0, 60
    for _ in range(count):
        length_s = random.choice([1, 2, 6, 12, 24]) * 3600
        left_s, start = random.uniform(0.1, 1) * length_s, random.uniform(0.2, 0.6) * MEMORY_KB
        times = [5.0 * step for step in range(length_s // 5)]
        pace, grain = (MEMORY_KB - start) / (times[-1] + left_s), random.uniform(0.002, 0.01) * MEMORY_KB
        blurred = zip(times, noise(random, len(times), together), strict=True)
        found = exhaustion([(at_s, start + pace * at_s + grain * value) for at_s, value in blurred], MEMORY_KB)
        assert found is not None
        low_s, high_s = (math.inf if end_s is None else end_s for end_s in (found.low_s, found.high_s))
        held += low_s <= left_s <= high_s
    assert held / count >= 0.9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_so_does_that_of_leaks_beneath_a_daily_rhythm(seed: int) -> None:
    random, held, count = Random(seed), 0, 40
    for _ in range(count):
        vm = plant("leak", random)
        found = exhaustion(vm.memory_kb, MEMORY_KB)
        assert found is not None
        low_s, high_s = (math.inf if end_s is None else end_s for end_s in (found.low_s, found.high_s))
        held += low_s <= vm.full_in_s <= high_s
    assert held / count >= 0.9


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", ["white", "together", "slow", "heavy", "rhythm", "bursts"])
def test_a_day_of_stationary_noise_gives_at_most_one_alarm(kind: str, seed: int) -> None:
    points = stationary(kind, Random(seed))
    assert len(judge(points, 0.1).anomalies) <= 1
    ahead = exhaustion(points, 200.0)
    assert ahead is None or not ahead.alarm


def stationary(kind: str, random: Random) -> list[Point]:
    """Return a day of samples every 5 s around 100."""
    count = int(DAY_S / 5)
    together = {"together": 0.9, "slow": 0.99, "heavy": 0.9, "rhythm": 0.9}.get(kind, 0.0)
    values = noise(random, count, together)
    if kind == "heavy":
        values = [math.exp(value) for value in values]
    if kind == "rhythm":
        values = [value + 10 * math.sin(math.tau * step / count + random.random()) for step, value in enumerate(values)]
    if kind == "bursts":
        values = [value + 30 * (random.random() < 0.02) for value in values]
    return [(5.0 * step, 100 + value) for step, value in enumerate(values)]


def test_every_morning_is_no_leak() -> None:
    """A rise over the first half of a day, seen at noon, does not end in exhaustion while there is room for it."""
    points = [(30.0 * step, 50 - 10 * math.cos(math.tau * step / 2880)) for step in range(1440)]
    found = exhaustion(points, 100.0)
    assert found is None or not found.alarm
