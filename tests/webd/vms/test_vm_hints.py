"""What holds a machine back is judged by what was recorded: a series that is not there is no zero."""

from __future__ import annotations

import pytest

from webd.vms.analysis import hints

NOW_S = 900.0


def steady(value: float) -> list[tuple[float, float]]:
    return [(5.0 * step, value) for step in range(180)]


@pytest.mark.parametrize("key", ["swap_in_kb_s", "swap_out_kb_s"])
def test_swapping_is_seen_where_only_one_way_was_recorded(key: str) -> None:
    (hint,) = hints({key: steady(500.0)}, 2, NOW_S)
    assert (hint["kind"], hint["typical"]) == ("swap", 500.0)


def test_both_ways_are_added_up_where_both_are_known() -> None:
    (hint,) = hints({"swap_in_kb_s": steady(60.0), "swap_out_kb_s": steady(70.0)[:179]}, 2, NOW_S)
    assert hint["typical"] == 130.0


def test_waiting_is_that_of_one_vcpu_and_of_none_where_their_number_is_unknown() -> None:
    series = {"vcpu_delay_pct": steady(30.0)}
    assert [hint["typical"] for hint in hints(series, 2, NOW_S)] == [15.0]
    assert hints(series, 4, NOW_S) == []
    assert hints(series, 0, NOW_S) == []
