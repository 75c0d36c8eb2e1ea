from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.sim import GPU_FULL_W, GPU_IDLE_W, LoadModel
from telemetryd.sources.simulated_gpu import MEMORY_B, SimulatedGpu

NS = 1_000_000_000
START_NS = 1_763_800_000 * NS
STEP_NS = 20 * NS
LAG_NS = NS // 10

MOMENTS = st.integers(START_NS, START_NS + 86_400 * NS)


def card(seed: int = 1, index: int = 0) -> SimulatedGpu:
    return SimulatedGpu(lambda: START_NS, LoadModel(seed), seed, index)


def number(values: dict[str, Any], key: str) -> float:
    value = values[key]
    assert isinstance(value, (int, float))
    return value


def integral_j(gpu: SimulatedGpu, start_ns: int, end_ns: int) -> float:
    """Return the energy by the midpoint rule in steps of a millisecond, each cut where the load steps."""
    total, at_ns = 0.0, start_ns
    while at_ns < end_ns:
        next_step_ns = ((at_ns - LAG_NS) // STEP_NS + 1) * STEP_NS + LAG_NS
        until_ns = min(at_ns + NS // 1000, end_ns, next_step_ns)
        total += gpu.power_w((at_ns + until_ns) // 2) * (until_ns - at_ns) / NS
        at_ns = until_ns
    return total


@pytest.mark.parametrize("into_ns", [0, 19 * NS, 7 * NS + 123_456_789])
def test_energy_is_the_integral_of_power(into_ns: int) -> None:
    gpu = card()
    start_ns = START_NS + into_ns
    end_ns = start_ns + 3 * NS
    assert gpu.energy_j(start_ns, end_ns) == pytest.approx(integral_j(gpu, start_ns, end_ns), rel=1e-6)


@given(MOMENTS, st.integers(0, 10**11), st.integers(0, 10**11))
def test_energy_of_two_spans_adds_up(start_ns: int, first_ns: int, second_ns: int) -> None:
    gpu = card()
    middle_ns, end_ns = start_ns + first_ns, start_ns + first_ns + second_ns
    parts = gpu.energy_j(start_ns, middle_ns) + gpu.energy_j(middle_ns, end_ns)
    assert parts == pytest.approx(gpu.energy_j(start_ns, end_ns), rel=1e-9, abs=1e-6)


@given(MOMENTS, st.integers(1_000_000, 10**10))
def test_counter_differences_are_energies_to_a_microjoule(at_ns: int, span_ns: int) -> None:
    gpu = card()
    counted = number(gpu.values(at_ns + span_ns), "energy_j") - number(gpu.values(at_ns), "energy_j")
    assert counted == pytest.approx(gpu.energy_j(at_ns, at_ns + span_ns), abs=2e-6)
    assert counted > 0


def test_counter_goes_on_after_a_restart() -> None:
    later_ns = START_NS + 3600 * NS
    restarted = SimulatedGpu(lambda: later_ns, LoadModel())
    assert restarted.values(later_ns)["energy_j"] == card().values(later_ns)["energy_j"]


def test_power_follows_the_load_a_tenth_of_a_second_behind() -> None:
    gpu = card()
    step_ns = (START_NS // STEP_NS + 1) * STEP_NS
    before, after = gpu.power_w(step_ns - 1), gpu.power_w(step_ns + LAG_NS)
    assert abs(after - before) > 20.0
    assert gpu.power_w(step_ns + LAG_NS - 1) == pytest.approx(before, abs=2 * 2.6)
    utils = [number(gpu.values(step_ns + ns), "gpu_util") for ns in (-1, 0)]
    assert abs(utils[1] - utils[0]) > 5.0  # the load itself has no lag


@given(MOMENTS)
def test_readings_are_plausible(at_ns: int) -> None:
    values = card().values(at_ns)
    for key in ("gpu_util", "mem_util", "enc_util", "dec_util", "fan_pct"):
        assert 0.0 <= number(values, key) <= 100.0
    assert GPU_IDLE_W - 3 <= number(values, "power_w") <= GPU_FULL_W + 3
    assert 30.0 <= number(values, "temp_c") <= 85.0
    assert 0 < number(values, "gpu_mem_used") < number(values, "gpu_mem_total") == MEMORY_B
    assert 210 <= number(values, "sm_clock_mhz") <= 2100


@given(MOMENTS)
def test_readings_are_a_function_of_seed_and_time_alone(at_ns: int) -> None:
    assert card(seed=1).values(at_ns) == card(seed=1).values(at_ns)
    later = [card(seed=1).values(at_ns + step * 50_000_000)["power_w"] for step in range(4)]
    assert len(set(later)) > 1  # two alone may be alike, on both sides of a peak


def test_another_seed_is_another_run_and_another_card() -> None:
    moments = range(START_NS, START_NS + 400 * NS, 20 * NS)
    runs = [[card(seed).values(at_ns)["gpu_util"] for at_ns in moments] for seed in (1, 2)]
    assert runs[0] != runs[1]
    assert len({card(1).dev, card(2).dev, card(1, index=1).dev}) == 3


def test_readings_are_marked_and_stamped_at_their_own_instant() -> None:
    (reading,) = card().sample()
    assert reading.sim
    assert reading.ts_ns == START_NS
    assert reading.dev == card().dev
    assert reading.kv == card().values(START_NS)
