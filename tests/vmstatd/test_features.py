"""Features: the formula as it is documented, and when there are none."""

from __future__ import annotations

from dataclasses import replace
from math import atan, degrees

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstatd.features import Point, features

SECOND = 10**9
FIRST = Point(SECOND, 7, 1000, "guest", 5 * SECOND)


def later(**changes: object) -> Point:
    return replace(FIRST, **{"ts_ns": 3 * SECOND, **changes})  # type: ignore[arg-type]


def test_rate_angle_and_processor_use() -> None:
    found = features(FIRST, later(memory_used_kb=3049, cputime_ns=6 * SECOND))
    assert found["memory_rate_kb_per_sec"] == 1024.5
    assert found["memory_angle_deg"] == pytest.approx(89.944, abs=0.001)  # not the 45.3 of the first document
    assert found["cpu_pct"] == 50.0


def test_first_sample_and_first_of_a_new_run_have_none() -> None:
    assert features(None, FIRST) == {}
    assert features(FIRST, later(run=8)) == {}
    assert features(FIRST, replace(FIRST, memory_used_kb=2000)) == {}


def test_memory_taken_from_something_else_has_no_rate_but_the_processor_has() -> None:
    assert features(FIRST, later(memory_used_from="rss", memory_used_kb=9000)) == {"cpu_pct": 0.0}
    assert features(FIRST, later(memory_used_kb=None)) == {"cpu_pct": 0.0}


def test_processor_time_that_went_back_or_is_unknown_is_no_use() -> None:
    assert "cpu_pct" not in features(FIRST, later(cputime_ns=1))
    assert "cpu_pct" not in features(FIRST, later(cputime_ns=None))


@given(st.integers(0, 2**42), st.integers(0, 2**42), st.integers(1, 10**13))
def test_formula_is_the_documented_one(before_kb: int, now_kb: int, dt_ns: int) -> None:
    before, now = replace(FIRST, memory_used_kb=before_kb), later(memory_used_kb=now_kb, ts_ns=SECOND + dt_ns)
    found = features(before, now)
    rate = (now_kb - before_kb) / (dt_ns / 1e9)
    assert found["memory_rate_kb_per_sec"] == rate
    assert found["memory_angle_deg"] == degrees(atan(rate + 1e-12))
    assert -90.0 <= found["memory_angle_deg"] <= 90.0
