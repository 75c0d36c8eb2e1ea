"""The parts of the analysis: medians, trends, hints and recommendations, and what they say of too little."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.stats.anomaly import WARM_UP, judge
from benchlab.stats.bottleneck import bottlenecks
from benchlab.stats.forecast import exhaustion
from benchlab.stats.robust import Point, blocks, medians
from benchlab.stats.sizing import size_cpu, size_memory
from benchlab.stats.trend import trend

GIB_KB = 1024 * 1024


def steady(value: float, minutes: int = 30, step_s: float = 10.0) -> list[Point]:
    return [(step * step_s, value) for step in range(int(minutes * 60 / step_s))]


def test_medians_stand_at_the_end_of_their_minute() -> None:
    points = [(0.0, 1.0), (30.0, 9.0), (59.9, 2.0), (60.0, 5.0), (200.0, 7.0)]
    assert medians(points, 60.0) == [(60.0, 2.0), (120.0, 5.0), (240.0, 7.0)]


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200), st.integers(1, 30))
def test_blocks_lie_within_their_series(values: list[float], count: int) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    found = blocks(points, count)
    assert 1 <= len(found) <= count
    assert [at_s for at_s, _ in found] == sorted(at_s for at_s, _ in found)
    assert all(min(values) <= value <= max(values) for _, value in found)


def test_blocks_of_nothing_are_nothing() -> None:
    assert blocks([], 4) == []


def test_a_trend_is_not_bent_by_outliers() -> None:
    points = [(float(step), 3.0 * step) for step in range(30)]
    points[7], points[20] = (7.0, 1e6), (20.0, -1e6)
    found = trend(points)
    assert found is not None
    assert found.slope == pytest.approx(3.0)
    assert found.low <= 3.0 <= found.high
    assert found.level(100.0, 3.0) == pytest.approx(300.0)


def test_too_few_points_have_no_trend() -> None:
    assert trend([(float(step), 1.0) for step in range(7)]) is None


def test_an_exact_leak_has_an_exact_forecast() -> None:
    found = exhaustion([(30.0 * step, 10.0 + 0.005 * 30 * step) for step in range(480)], 100.0)
    assert found is not None
    assert found.alarm
    assert found.left_s == pytest.approx((100 - found.level) / 0.005)
    assert found.low_s == pytest.approx(found.high_s)


def test_what_is_full_is_left_no_time_and_what_shrinks_has_all_of_it() -> None:
    full = exhaustion([(30.0 * step, 90.0 + 0.1 * step) for step in range(480)], 100.0)
    assert full is not None
    assert (full.left_s, full.alarm) == (0.0, True)
    emptier = exhaustion([(30.0 * step, 90.0 - 0.1 * step) for step in range(480)], 100.0)
    assert emptier is not None
    assert (emptier.left_s, emptier.low_s, emptier.alarm) == (None, None, False)


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)], steady(1.0, minutes=20)])
def test_too_little_has_no_forecast(points: list[Point]) -> None:
    assert exhaustion(points, 100.0) is None


def test_nothing_is_judged_while_warming_up() -> None:
    points = [(30.0 * step, 1000.0 if step > 200 else 1.0) for step in range(2 * WARM_UP - 10)]
    judged = judge(points, 0.1)
    assert (judged.z, judged.anomalies) == (None, [])


def test_what_is_under_way_is_told_from_what_is_over() -> None:
    random = Random(3)
    points = [(30.0 * step, random.gauss(10, 1) + (100 if step >= 990 else 0)) for step in range(1000)]
    judged = judge(points, 0.1)
    assert judged.is_anomalous(points[-1][0])
    assert judged.z is not None
    assert judged.z > 50
    assert not judged.is_anomalous(points[-1][0] + 600)


def test_a_steady_series_is_not_anomalous_for_less_than_the_floor() -> None:
    points = [(30.0 * step, 5.0 if step < 900 else 5.4) for step in range(1000)]
    assert judge(points, 0.1).anomalies == []
    assert len(judge(points, 0.01).anomalies) == 1


def test_hints_name_what_was_beyond_its_limit_worst_first() -> None:
    series = {"vcpu_wait_pct": steady(15.0), "block_latency_ms": steady(200.0), "swap_kb_s": steady(0.0)}
    found = bottlenecks(series, 1800.0)
    assert [hint.kind for hint in found] == ["block_latency", "vcpu_wait"]
    assert (found[0].typical, found[0].limit, found[0].share_of_time) == (200.0, 20.0, 1.0)


def test_a_moment_beyond_the_limit_is_no_bottleneck_nor_is_what_is_long_over() -> None:
    moment = [(at_s, 500.0 if 1500 <= at_s < 1700 else 1.0) for at_s, _ in steady(0.0)]
    assert bottlenecks({"block_latency_ms": moment}, 1800.0) == []
    assert bottlenecks({"block_latency_ms": steady(200.0)}, 86_400.0) == []
    assert bottlenecks({"block_latency_ms": steady(200.0, minutes=3)}, 180.0) == []


@pytest.mark.parametrize(
    ("cpu_pct", "vcpus", "advice", "recommended"),
    [
        (40.0, 4, "shrink", 1),
        (150.0, 4, "shrink", 3),
        (250.0, 4, "keep", 4),
        (390.0, 4, "grow", 6),
        (68.0, 1, "keep", 1),
    ],
)
def test_vcpus_are_recommended_by_the_busiest_minutes(
    cpu_pct: float, vcpus: int, advice: str, recommended: int
) -> None:
    found = size_cpu(steady(cpu_pct, minutes=400, step_s=60), vcpus)
    assert found is not None
    assert (found.advice, found.recommended, found.at_least) == (advice, recommended, cpu_pct == 390.0)
    assert (found.used, found.minutes) == (cpu_pct / 100, 400)


@pytest.mark.parametrize(
    ("used_gib", "advice", "recommended_gib"), [(1.0, "shrink", 1.25), (3.0, "keep", 4.0), (3.9, "grow", 6.0)]
)
def test_memory_is_recommended_with_a_reserve(used_gib: float, advice: str, recommended_gib: float) -> None:
    found = size_memory(steady(used_gib * GIB_KB, minutes=400, step_s=60), 4 * GIB_KB)
    assert found is not None
    assert (found.advice, found.recommended) == (advice, recommended_gib * GIB_KB)


def test_nothing_is_recommended_by_an_hour() -> None:
    assert size_cpu(steady(10.0, minutes=60), 4) is None
    assert size_memory(steady(10.0, minutes=60), 4 * GIB_KB) is None
