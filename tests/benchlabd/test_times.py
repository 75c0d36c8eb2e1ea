"""The time of a reading: wherever the way was long, the truth lies in the interval that is stated."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.config_schema import BenchLab
from benchlab.daemon import Reading
from benchlab.event import META
from benchlabd.rtt import BURST, Distribution, RoundTrips
from benchlabd.scout import meters
from support.meters import MS, FakeLine, Time

Ways = Callable[[random.Random, int], tuple[float, float]]
"""From chance and the number of the exchange to the ways there and back, in milliseconds."""


def symmetric(chance: random.Random, n: int) -> tuple[float, float]:
    way = chance.uniform(0.3, 2.5)
    return way, way


def asymmetric(chance: random.Random, n: int) -> tuple[float, float]:
    total, share = chance.uniform(1.0, 5.0), chance.choice((0.0, 0.05, 0.5, 0.95, 1.0))
    return total * share, total * (1.0 - share)


def heavy_tailed(chance: random.Random, n: int) -> tuple[float, float]:
    there, back = (min(120.0, 0.4 * chance.paretovariate(1.1)) for _ in range(2))
    return there, back


def drifting(chance: random.Random, n: int) -> tuple[float, float]:
    return 0.5 + 0.02 * n, 1.0 + 0.8 * math.sin(n / 20) + chance.uniform(0.0, 0.2)


def sampled(ways: Ways, seed: int, count: int, offset_ns: int = 0) -> tuple[list[Reading], list[int]]:
    """Return the readings of a meter on a line with such ways, and when they were truly taken."""
    chance, time = random.Random(seed), Time()
    way_ns = {"there": 0, "back": 0, "n": 0}

    def there_ns() -> int:
        there, back = ways(chance, way_ns["n"])
        way_ns.update(there=round(there * MS), back=round(back * MS), n=way_ns["n"] + 1)
        return way_ns["there"]

    line = FakeLine(time, there_ns=there_ns, back_ns=lambda: way_ns["back"])
    (board,) = meters(BenchLab(device="x", offset_ns=offset_ns), time, open_port=lambda path, baud: line)
    readings: list[Reading] = []
    for _ in range(count):
        readings += board.sample()
        time.ns += 100 * MS
    return readings, line.sampled_ns


@pytest.mark.parametrize("ways", [symmetric, asymmetric, heavy_tailed, drifting])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_true_time_lies_in_the_stated_interval(ways: Ways, seed: int) -> None:
    found, truth_ns = sampled(ways, seed, 120)
    readings = [reading for reading in found if reading.source != META]
    assert len(readings) == len(truth_ns) == 120
    inside = 0
    for reading, true_ns in zip(readings, truth_ns, strict=True):
        assert reading.ts_ns is not None and reading.unc_ns is not None and reading.cal is not None
        assert reading.unc_ns <= (reading.cal["rtt_ns"] + 1) // 2  # the interval is no wider than the exchange
        inside += abs(reading.ts_ns - true_ns) <= reading.unc_ns
    assert inside >= 0.95 * len(readings)


def test_round_trip_is_the_whole_way_and_there_is_no_offset_of_a_clock_that_does_not_exist() -> None:
    readings, _ = sampled(lambda chance, n: (1.0, 2.0), 1, 1)
    assert readings[0].cal == {"offset_ns": 0, "rtt_ns": 3 * MS}
    assert readings[0].unc_ns == 1_500_000


def test_delay_that_the_operator_measured_is_applied_and_said() -> None:
    plain, _ = sampled(symmetric, 7, 1)
    moved, _ = sampled(symmetric, 7, 1, offset_ns=40 * MS)
    assert plain[0].ts_ns is not None and moved[0].ts_ns is not None
    assert plain[0].ts_ns - moved[0].ts_ns == 40 * MS
    assert moved[0].cal is not None and moved[0].cal["offset_ns"] == 40 * MS


def test_exchange_that_was_held_up_is_flagged_and_common_ones_are_not() -> None:
    def once_slow(chance: random.Random, n: int) -> tuple[float, float]:
        return (1.0, 40.0) if n == 60 else (1.0, chance.uniform(1.0, 1.5))

    found, _ = sampled(once_slow, 3, 120)
    delayed = [reading.cal["rtt_ns"] for reading in found if reading.cal and reading.cal.get("delayed")]
    assert delayed == [41 * MS]


def test_calibration_comes_by_and_by_and_again_when_it_is_due() -> None:
    found, truth_ns = sampled(lambda chance, n: (1.0, 1.0 + n % 3), 1, 700)  # 70 s
    told = [reading.kv for reading in found if reading.source == META]
    assert [kv["event"] for kv in told] == ["calibrated", "calibrated"]
    assert (told[0]["n"], told[0]["min_ns"]) == (BURST, 2 * MS)
    assert told[1]["reading_n"] == 512
    assert len(truth_ns) == 700  # not one reading was left out for it


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300))
def test_distribution_is_of_what_was_measured(trips_ns: list[int]) -> None:
    found = Distribution.of(trips_ns)
    assert found.min_ns == min(trips_ns)
    assert found.p99_ns in trips_ns
    assert sum(trip <= found.p99_ns for trip in trips_ns) >= 0.99 * len(trips_ns)
    assert found.min_ns <= found.median_ns <= found.p99_ns


def test_nothing_is_called_delayed_before_it_is_known_what_is_common() -> None:
    trips = RoundTrips(1000)
    assert not trips.took(10**9)
    assert trips.is_due(0)
