"""Percentiles against known answers and against the standard library's own linear method."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.query.percentiles import percentile, percentiles, summary

FINITE = st.floats(-1e9, 1e9)


def test_a_percentile_lies_on_the_line_between_two_values() -> None:
    assert percentile([10.0, 20.0, 30.0, 40.0], 50) == 25.0
    assert percentile([10.0, 20.0, 30.0, 40.0, 50.0], 95) == pytest.approx(48.0)
    assert percentile([7.0], 99) == 7.0


@given(st.lists(FINITE, min_size=2))
def test_percentiles_agree_with_the_inclusive_method_of_the_standard_library(values: list[float]) -> None:
    expected = statistics.quantiles(values, n=100, method="inclusive")
    assert percentiles(values, range(1, 100)) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(st.lists(FINITE, min_size=1), st.floats(0, 100), st.floats(0, 100))
def test_percentiles_rise_with_p_and_stay_within_the_values(values: list[float], p: float, q: float) -> None:
    ordered = sorted(values)
    low, high = percentile(ordered, min(p, q)), percentile(ordered, max(p, q))
    assert ordered[0] <= low <= high <= ordered[-1] or low == pytest.approx(high)


@pytest.mark.parametrize(("values", "p"), [([], 50), ([1.0], -1), ([1.0], 100.1), ([1.0], float("nan"))])
def test_a_percentile_of_nothing_is_an_error_and_not_zero(values: list[float], p: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, p)


def test_summary_of_nothing_is_nothing() -> None:
    assert summary([]) is None
    found = summary(iter([3.0, 1.0, 2.0]))
    assert found is not None
    assert (found.count, found.mean, found.low, found.p50, found.high) == (3, 2.0, 1.0, 2.0, 3.0)
