"""Values on the wire: each at its place, what is not there not there, what does not fit refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchctl.emulator.products import make
from benchlab.boards.benchlab import BENCHLAB_2, NOT_CONNECTED, ORIGINAL, Contract, Fan, Rail
from benchlab.boards.pmd import PMD2, PMD_USB, decode_pmd2, decode_usb
from benchlab.catalog import lookup
from benchlab.catalog.board import SOURCE

NEWEST = Contract(BENCHLAB_2, 7)
OLDEST = Contract(BENCHLAB_2, 3)


def test_values_stand_where_they_are_read() -> None:
    values = {
        "atx12v_v": 12.02,
        "atx12v_a": 5.309,
        "atx12v_w": 63.804,
        "hpwr2_wire6_a": -0.004,
        "ts1_c": -10.5,
        "hpwr1_out_c": 46.04,
        "chip_c": 40.2,
        "temp_c": 23.8,
        "humidity_pct": 41.2,
        "vin13_v": -0.003,
        "vdd_v": 3.299,
        "vref_v": 2.999,
        "fan3_rpm": 1149,
        "fan3_pct": 57,
        "fan_ext_pct": 40,
        "fan_switch": "full",
        "rgb_switch": "play",
        "rgb_ext": True,
        "faults": "otp_ts1 current_imbalance_hpwr2",
        "faults_latched": "ocp_cpu1 0x400000000",
    }
    frame = NEWEST.decode(make("bl2", 7).encode(values))
    rails = dict(zip(BENCHLAB_2.rails, frame.rails, strict=True))
    assert rails["atx12v"] == Rail(12_020, 5309, 63_804)
    assert rails["hpwr2_wire6"] == Rail(0, -4, 0)
    assert frame.sensors == (-105, *[NOT_CONNECTED] * 4, 460, *[NOT_CONNECTED] * 2)
    assert (frame.chip, frame.ambient, frame.humidity) == (402, 238, 412)
    assert frame.inputs_mv == (*[NOT_CONNECTED] * 12, -3)
    assert (frame.vdd_mv, frame.vref_mv) == (3299, 2999)
    assert frame.fans[2] == Fan(1, 57, 1149)
    assert frame.fans[3] == Fan(0, 0, 0)
    assert (frame.fan_ext_duty_pct, frame.fan_switch, frame.rgb_switch, frame.rgb_ext) == (40, 2, 1, 1)
    assert frame.faults == (1 << 1 | 1 << 33, 1 << 9 | 1 << 34)


def test_chip_is_in_whole_degrees_on_old_firmware() -> None:
    assert OLDEST.decode(make("bl2", 3).encode({"chip_c": 40.2})).chip == 40


def test_what_has_no_value_is_not_connected_and_the_board_itself_is_well() -> None:
    frame = NEWEST.decode(make("bl2", 7).encode({}))
    assert {*frame.inputs_mv, *frame.sensors, frame.chip} == {NOT_CONNECTED}
    assert set(frame.rails) == {Rail(0, 0, 0)}
    assert (frame.vdd_mv, frame.vref_mv) == (3301, 3000)
    assert (frame.ambient, frame.humidity) == (0, 0)  # as when the sensor of both does not answer
    assert NEWEST.decode(make("bl2", 7).encode({"temp_c": 20.0})).humidity == NOT_CONNECTED


def test_power_that_is_not_given_is_voltage_times_current() -> None:
    frame = Contract(ORIGINAL, 6).decode(make("original").encode({"eps1_v": 12.0, "eps1_a": 3.0}))
    assert frame.rails[0] == Rail(12_000, 3000, 36_000)


def test_recording_of_sums_alone_is_shown_on_the_main_rail() -> None:
    values = {"v_sys": 12.0, "i_sys": 20.5, "p_sys": 246.0, "temp_c": 42.3}
    frame = Contract(ORIGINAL, 6).decode(make("original").encode(values))
    assert frame.rails[ORIGINAL.rails.index("atx12v")] == Rail(12_000, 20_500, 246_000)
    assert sum(rail.mw for rail in frame.rails) == 246_000


def test_pmds_show_their_rails() -> None:
    values = {"pcie1_v": 12.05, "pcie1_a": 10.4, "eps2_v": 11.98, "eps2_a": -0.1, "eps2_w": -1.2}
    usb = dict(zip(PMD_USB.rails, decode_usb(make("pmd-usb").encode(values)), strict=True))
    assert (usb["pcie1"], usb["eps2"]) == ((1205, 104), (1198, -1))
    frame = decode_pmd2(make("pmd2").encode(values))
    rails = dict(zip(PMD2.rails, frame.rails, strict=True))
    assert (rails["pcie1"], rails["eps2"]) == ((12_050, 10_400, 125_320), (11_980, -100, -1200))
    assert frame.sums == (0, 125, 0, 124)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"eps1_v": 40.0}, "eps1_v: found 40, expected a number from -32.768 to 32.767"),
        ({"ts1_c": 3276.7}, "ts1_c: found 3276.7, expected a number from -3276.8 to 3276.6"),
        ({"fan1_pct": -1}, "fan1_pct: found -1, expected a number from 0 to 255"),
        ({"fan1_pct": 256}, "fan1_pct: found 256"),
        ({"fan9_rpm": 65_536}, "fan9_rpm: found 65536"),
        ({"vdd_v": -0.1}, "vdd_v: found -0.1, expected a number from 0 to 65.535"),
        ({"eps1_w": 2_147_484.0}, "eps1_w: found"),
        ({"eps1_a": float("nan")}, "eps1_a: found nan, expected a number"),
        ({"eps1_a": "much"}, "eps1_a: found 'much', expected a number"),
        ({"eps1_a": True}, "eps1_a: found True, expected a number"),
        ({"fan_switch": "off"}, "fan_switch: found 'off', expected auto or half or full"),
        ({"rgb_ext": 1}, "rgb_ext: found 1, expected False or True"),
        ({"faults": "fire"}, "faults: found 'fire', expected names as otp_tchip"),
        ({"faults": "0x1ffffffffffffffff"}, "faults: found 0x1ffffffffffffffff, expected at most 64 bits"),
    ],
)
def test_what_does_not_fit_the_wire_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("bl2").encode(values)


@pytest.mark.parametrize("product", ["original", "bl2"])
def test_every_key_that_a_board_shows_is_one_of_the_catalog(product: str) -> None:
    foreseen = {"faults", "faults_latched", "fan_switch", "rgb_switch", "rgb_ext", "fan_ext_pct"}
    unknown = {key for key in make(product).keys if lookup(SOURCE, key) is None}
    assert unknown - foreseen == set()


@settings(max_examples=100, deadline=None)
@given(
    millivolts=st.integers(-32_768, 32_767),
    milliamperes=st.integers(-(2**31), 2**31 - 1),
    milliwatts=st.integers(-(2**31), 2**31 - 1),
    tenths=st.integers(-32_768, 32_766),
)
def test_no_step_of_the_wire_is_lost_in_decimals(
    millivolts: int, milliamperes: int, milliwatts: int, tenths: int
) -> None:
    values = {
        "hpwr1_v": millivolts / 1000,
        "hpwr1_a": milliamperes / 1000,
        "hpwr1_w": milliwatts / 1000,
        "ts2_c": tenths / 10,
    }
    frame = NEWEST.decode(make("bl2", 7).encode(values))
    assert frame.rails[9] == Rail(millivolts, milliamperes, milliwatts)
    assert frame.sensors[1] == tenths
