"""The simulated BENCHLAB: rails that add up, power that lags the load, temperatures that lag power."""

from __future__ import annotations

import statistics

import pytest

from benchlab.boards.model import RAILS, PowerRange
from benchlab.catalog import RAIL_SUMS, unknown_keys
from benchlab.sim import NS, LoadModel
from benchlabd.simulated import SimulatedBoard

NOW = 1_763_800_000 * NS
TICK = NS // 10
STEP = 20 * NS


def board(now_ns: int = NOW, seed: int = 1, idle_w: float = 92.0, full_w: float = 400.0) -> SimulatedBoard:
    return SimulatedBoard(lambda: now_ns, LoadModel(seed), PowerRange(idle_w, full_w), seed)


def watts(kv: dict[str, object], key: str) -> float:
    value = kv[key]
    assert isinstance(value, float)
    return value


def measured(count: int, every_ns: int = TICK) -> list[dict[str, object]]:
    made = board()
    return [dict(made.measure(NOW + n * every_ns)) for n in range(count)]


def test_shares_of_all_rails_are_the_whole() -> None:
    assert sum(rail.idle_share for rail in RAILS) == pytest.approx(1.0)
    assert sum(rail.load_share for rail in RAILS) == pytest.approx(1.0)
    assert {rail.name for rail in RAILS} == set(RAIL_SUMS["sys"])


def test_rails_sum_to_their_groups_and_groups_to_the_system() -> None:
    for kv in measured(300):
        for key, part in (("cpu_w", "cpu"), ("mb_w", "mb"), ("gpu_w", "gpu"), ("p_sys", "sys")):
            summed = sum(watts(kv, f"{rail}_w") for rail in RAIL_SUMS[part])
            assert watts(kv, key) == pytest.approx(summed, abs=1e-9)
        groups = watts(kv, "cpu_w") + watts(kv, "mb_w") + watts(kv, "gpu_w")
        assert groups == pytest.approx(watts(kv, "p_sys"), abs=1e-9)


def test_power_is_voltage_times_current_on_every_rail() -> None:
    for kv in measured(300):
        for rail in RAILS:
            product = watts(kv, f"{rail.name}_v") * watts(kv, f"{rail.name}_a")
            assert watts(kv, f"{rail.name}_w") == pytest.approx(product, abs=0.00051)
        assert watts(kv, "p_sys") == pytest.approx(watts(kv, "v_sys") * watts(kv, "i_sys"), abs=0.001)


def test_voltages_stay_within_what_a_power_supply_may_deliver() -> None:
    limits = {rail.name: (0.95 * round(rail.volts, 0), 1.05 * round(rail.volts, 0)) for rail in RAILS}
    limits["atx3v"] = (3.3 * 0.95, 3.3 * 1.05)
    for kv in measured(2_000, every_ns=NS):
        for name, (lowest, highest) in limits.items():
            assert lowest <= watts(kv, f"{name}_v") <= highest


def test_power_follows_the_load_100_ms_behind() -> None:
    model, made = LoadModel(), board()
    edge = NOW - NOW % STEP + STEP
    old, new = (92.0 + 308.0 * model.load(t) for t in (edge - 1, edge))
    just_before = watts(dict(made.measure(edge + 100_000_000 - 1)), "p_sys")
    just_after = watts(dict(made.measure(edge + 100_000_000)), "p_sys")
    assert just_before == pytest.approx(old, rel=0.02)
    assert just_after == pytest.approx(new, rel=0.02)
    assert abs(new - old) > 0.1 * old


def test_measured_power_is_true_power_with_a_little_noise_and_no_bias() -> None:
    model, made = LoadModel(), board()
    errors = [
        watts(dict(made.measure(ts)), "p_sys") / model.power_w(ts) - 1.0 for ts in range(NOW, NOW + 2_000 * TICK, TICK)
    ]
    assert 0.0005 < statistics.pstdev(errors) < 0.005
    assert statistics.fmean(errors) == pytest.approx(0.0, abs=0.0002)


def test_idle_and_full_power_are_what_was_asked_for() -> None:
    made = board(idle_w=50.0, full_w=1000.0)
    powers = [watts(dict(made.measure(NOW + n * STEP + NS)), "p_sys") for n in range(16)]
    assert min(powers) == pytest.approx(50.0, rel=0.02)
    assert max(powers) == pytest.approx(1000.0, rel=0.02)


def test_temperature_lags_power_and_does_not_jump() -> None:
    edge = NOW - NOW % STEP + STEP + 100_000_000
    made = board()
    before, after, later = (watts(dict(made.measure(t)), "ts1_c") for t in (edge - 1, edge + 1, edge + 19 * NS))
    assert abs(after - before) <= 0.1
    assert abs(later - before) > 1.0


def test_every_key_is_in_the_catalog_and_every_reading_is_marked() -> None:
    made = board()
    (reading,) = made.sample()
    assert unknown_keys(made.name, reading.kv.items()) == []
    assert reading.sim is True
    assert reading.dev == made.dev
    assert {"v_sys", "i_sys", "p_sys", "temp_c", "cpu_w", "gpu_w", "mb_w", "fan1_rpm"} <= set(reading.kv)


def test_a_reading_is_stamped_in_the_middle_of_its_round_trip() -> None:
    for n in range(500):
        now_ns = NOW + n * TICK
        (reading,) = board(now_ns).sample()
        assert reading.cal is not None and reading.unc_ns is not None
        assert reading.cal["offset_ns"] == 0
        rtt_ns = reading.cal["rtt_ns"]
        assert 1_000_000 <= rtt_ns <= 5_000_000
        assert 2 * reading.unc_ns == rtt_ns
        assert reading.ts_ns == now_ns - rtt_ns // 2


def test_round_trips_differ() -> None:
    trips = {reading.unc_ns for n in range(100) for reading in board(NOW + n * TICK).sample()}
    assert len(trips) > 50


def test_the_same_seed_measures_the_same_and_another_does_not() -> None:
    assert board().measure(NOW) == board().measure(NOW)
    assert board(seed=2).measure(NOW) != board().measure(NOW)


@pytest.mark.parametrize(("idle_w", "full_w"), [(-1.0, 100.0), (200.0, 100.0), (0.0, 5000.0), (float("nan"), 1.0)])
def test_impossible_powers_are_refused(idle_w: float, full_w: float) -> None:
    with pytest.raises(ValueError, match="idle"):
        board(idle_w=idle_w, full_w=full_w)
