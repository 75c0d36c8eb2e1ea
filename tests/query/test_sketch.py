"""Sketches against the values themselves."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.query.percentiles import percentile
from benchlab.query.sketch import ERROR, LEAST, MOST, Sketch

LATENCIES = st.one_of(
    st.just(0.0), st.floats(LEAST, MOST), st.floats(5, 50), st.integers(1, 10**6).map(lambda ns: ns * 1e-6)
)
VALUES = st.lists(LATENCIES, min_size=1, max_size=300)


@given(VALUES, st.floats(0, 100))
def test_a_percentile_is_within_the_stated_error_of_the_true_one(values: list[float], p: float) -> None:
    found = Sketch(values).percentile(p, min(values), max(values))
    true = percentile(sorted(values), p)
    assert abs(found - true) <= true * (ERROR + 1e-9) + LEAST


@given(VALUES, VALUES)
def test_sketches_of_parts_add_up_to_that_of_the_whole(first: list[float], second: list[float]) -> None:
    whole = Sketch([*first, *second])
    added = Sketch(first)
    added.add(Sketch(second))
    read = Sketch()
    read.add_encoded(Sketch(first).encode())
    read.add_encoded(Sketch(second).encode())
    assert added.counts == read.counts == whole.counts
    assert added.n == read.n == whole.n
    assert added.encode() == whole.encode()


@given(VALUES, st.integers(1, 80))
def test_a_histogram_counts_every_value_between_its_edges(values: list[float], bins: int) -> None:
    edges, counts = Sketch(values).histogram(bins)
    assert len(edges) == len(counts) + 1 <= bins + 1
    assert edges == sorted(edges)
    ordered = sorted(values)
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        below = bisect_right(ordered, low) if low else bisect_left(ordered, 0.0)
        assert bisect_right(ordered, high) - below == count


def test_nothing_has_no_percentile_and_no_histogram() -> None:
    assert Sketch().histogram(10) == ([], [])
    with pytest.raises(ValueError, match="no values"):
        Sketch().percentile(50, 0, 0)
