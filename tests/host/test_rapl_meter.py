from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.daemon import Transient
from benchlab.host.rapl_meter import Meter
from benchlab.host.rapl_zones import MOST_W, Zone

RANGE_UJ = 65_532_610_987
ZONE = Zone("intel-rapl:0", "package-0", None, RANGE_UJ, MOST_W, True)

STEPS = st.lists(
    st.tuples(st.integers(95_000_000, 2_000_000_000), st.floats(0.001, 1900.0)),
    min_size=1,
    max_size=60,
)


@settings(deadline=None)
@given(st.integers(0, RANGE_UJ - 1), STEPS)
def test_energy_is_what_was_drawn_wherever_the_counter_began(start_uj: int, steps: list[tuple[int, float]]) -> None:
    meter, drawn_uj, now_ns = Meter(ZONE), 0, 0
    meter.take(start_uj, now_ns)
    for elapsed_ns, power_w in steps:
        now_ns += elapsed_ns
        drawn_uj += int(power_w * elapsed_ns / 1e3)
        before = meter.energy_uj
        meter.take((start_uj + drawn_uj) % RANGE_UJ, now_ns)
        assert meter.energy_uj == drawn_uj >= before
        assert meter.power_w is None or 0.0 < meter.power_w < MOST_W


@settings(deadline=None)
@given(STEPS, st.integers(0, RANGE_UJ - 1), st.integers(0, RANGE_UJ - 1))
def test_energy_never_falls_and_power_is_never_more_than_is_believed(
    steps: list[tuple[int, float]], first_uj: int, second_uj: int
) -> None:
    """Whatever a counter does: a value that cannot be is refused, and counting goes on."""
    meter, now_ns = Meter(ZONE), 0
    for n, (elapsed_ns, _) in enumerate(steps):
        now_ns += elapsed_ns
        before = meter.energy_uj
        try:
            meter.take((first_uj, second_uj)[n % 2], now_ns)
        except Transient:
            assert meter.energy_uj == before
        assert meter.energy_uj >= before
        assert meter.power_w is None or 0.0 < meter.power_w <= MOST_W * 1.001


def test_range_that_is_not_told_makes_every_step_back_a_reset() -> None:
    meter = Meter(Zone("intel-rapl:0", "package-0", None, 0, MOST_W, True))
    meter.take(1000, 0)
    with pytest.raises(Transient, match="set back"):
        meter.take(999, 100_000_000)


def test_two_readings_at_one_instant_have_no_power() -> None:
    meter = Meter(ZONE)
    meter.take(1000, 0)
    meter.take(1000, 0)
    assert meter.power_w is None
