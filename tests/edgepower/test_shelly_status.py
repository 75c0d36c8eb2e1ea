from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepower.collectors.shelly_status import Channel, gen1_status, gen2_status
from support.edge_fixtures import load


def test_gen1_meter_counts_watt_minutes() -> None:
    status = gen1_status(load("shelly/gen1_plug_status.json"), "SHPLG-S")
    (meter,) = status.channels
    assert (meter.power_w, meter.energy_j) == (61.84, 7200 * 60.0)
    assert (status.mac, status.temp_c) == ("AABBCC100001", 31.4)


def test_gen1_emeter_counts_watt_hours_in_two_registers() -> None:
    first, second = gen1_status(load("shelly/gen1_em_status.json"), "SHEM").channels
    assert (first.power_w, first.voltage_v, first.kind) == (-512.5, 231.2, "clamp")
    assert (first.energy_j, first.returned_j) == (1200.5 * 3600, 800.25 * 3600)
    assert second.power_w == 88.0


def test_three_emeters_of_a_3em_are_phases() -> None:
    emeter = {"power": 10.0, "is_valid": True, "total": 1.0, "current": 0.1}
    channels = gen1_status({"emeters": [emeter] * 3}, "SHEM-3").channels
    assert [(channel.kind, channel.current_a) for channel in channels] == [("phase", 0.1)] * 3


def test_constant_that_somebody_typed_in_is_no_power() -> None:
    (meter,) = gen1_status(load("shelly/gen1_relay_status.json"), "SHSW-1").channels
    assert meter.power_w is None
    assert "typed in" in meter.why


def test_reading_that_the_device_calls_invalid_is_absent() -> None:
    (meter,) = gen1_status({"meters": [{"power": 5.0, "is_valid": False, "total": 60}]}, "SHPLG-S").channels
    assert (meter.power_w, meter.energy_j) == (None, 3600.0)
    assert "not valid" in meter.why


def test_gen2_switch() -> None:
    status = gen2_status(load("shelly/gen2_plug_status.json"))
    assert status.channels == (
        Channel("switch:0", "load", 61.9, voltage_v=231.4, current_a=0.271, energy_j=120.5 * 3600),
    )
    assert (status.mac, status.temp_c) == ("AABBCC200001", 33.1)


def test_switch_without_a_meter_has_no_channel() -> None:
    assert gen2_status({"switch:0": {"id": 0, "output": True}, "sys": {"mac": "A"}}).channels == ()


def test_meter_that_has_failed_is_absent() -> None:
    switch = {"id": 0, "apower": 0.0, "aenergy": {"total": 1.0}, "errors": ["power_meter_failure"]}
    (channel,) = gen2_status({"switch:0": switch}).channels
    assert channel.power_w is None
    assert "failed" in channel.why


def test_energy_that_counts_both_ways_needs_the_part_that_came_back() -> None:
    switch = {"id": 0, "apower": -350, "aenergy": {"total": 10.0}, "ret_aenergy": {"total": 4.0}}
    (channel,) = gen2_status({"switch:0": switch}).channels
    assert (channel.energy_is_both, channel.energy_j, channel.returned_j) == (True, 36_000.0, 14_400.0)
    (channel,) = gen2_status({"switch:0": {**switch, "ret_aenergy": {"total": None}}}).channels
    assert (channel.energy_j, channel.returned_j) == (None, None)


def test_clamps_have_their_energies_in_a_component_of_their_own() -> None:
    first, second = gen2_status(load("shelly/gen2_em1_status.json")).channels
    assert (first.kind, first.power_w, first.frequency_hz) == ("clamp", -330.5, 50.0)
    assert (first.energy_j, first.returned_j) == (1000.5 * 3600, 2000.25 * 3600)
    assert second.power_w == 92.0


def test_three_phase_meter() -> None:
    channels = gen2_status(load("shelly/gen2_em_status.json")).channels
    assert [channel.power_w for channel in channels] == [200.0, 100.5, -10.5]
    assert [channel.energy_j for channel in channels] == [3600.0, 7200.0, 10800.0]
    assert {channel.kind for channel in channels} == {"phase"}


@pytest.mark.parametrize("power", [None, "61.9", True, float("nan"), float("inf"), 10**400, []])
def test_power_that_is_no_number_is_absent_and_says_what_was_found(power: Any) -> None:
    (channel,) = gen2_status({"switch:0": {"apower": power, "aenergy": {"total": 1.0}}}).channels
    assert channel.power_w is None
    assert channel.why.endswith("expected a number")


SCALARS = st.sampled_from(
    [None, True, False, -1, 0, 10**400, 1.5, float("nan"), float("inf"), "", "1", "power_meter_failure"]
)
JSON = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from(["total", "tC"]), SCALARS, max_size=2)
COMPONENTS = st.sampled_from(["switch:0", "pm1:0", "em:0", "em1:0", "em1data:0", "emdata:0", "cover:1", "sys", "em"])
FIELDS = st.sampled_from(
    ["apower", "act_power", "aenergy", "ret_aenergy", "total", "voltage", "errors", "mac", "a_act_power", "temperature"]
)


@given(st.dictionaries(COMPONENTS, JSON | st.dictionaries(FIELDS, JSON)))
def test_no_gen2_status_is_too_strange(status: dict[str, Any]) -> None:
    for channel in gen2_status(status).channels:
        assert (channel.power_w is None) == bool(channel.why)


@given(
    st.dictionaries(
        st.sampled_from(["meters", "emeters", "tmp", "mac"]),
        JSON | st.lists(st.dictionaries(st.sampled_from(["power", "total", "is_valid", "pf"]), JSON), max_size=4),
    )
)
def test_no_gen1_status_is_too_strange(status: dict[str, Any]) -> None:
    for channel in gen1_status(status, "SHEM").channels:
        assert (channel.power_w is None) == bool(channel.why)
