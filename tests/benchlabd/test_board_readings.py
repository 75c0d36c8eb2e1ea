"""Frames become readings: beside the maker's own client, and what must be absent rather than wrong."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from benchlab_pycore.core import translate_sensor_struct
from benchlab_pycore.core.structures import SensorStructBL2, SensorStructBL2Legacy, SensorStructOriginal
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.boards.benchlab import FAULTS, ORIGINAL, PRODUCTS, Contract, Fan, Rail
from benchlab.boards.pmd import PMD2, PMD_USB, Pmd2Frame, Pmd2Rail, UsbRail, encode_pmd2, encode_usb
from benchlab.catalog import RAIL_SUMS, unknown_keys
from benchlab.catalog.board import PMD_SOURCE, SOURCE
from benchlab.catalog.power_tree import PMD_RAILS
from benchlab.event import Value
from benchlabd.readings import board_readings, pmd2_readings, raw_readings, usb_readings
from support.meters import ORIGINAL_6, a_frame

CONTRACTS = [Contract(product, firmware) for product in PRODUCTS.values() for firmware in product.firmware]


def read(contract: Contract, **changes: object) -> dict[str, Value]:
    kv, doubt = board_readings(contract, contract.encode(a_frame(contract, **changes)))
    assert doubt is None
    return kv


def doubt(**changes: object) -> str:
    _, found = board_readings(ORIGINAL_6, ORIGINAL_6.encode(a_frame(ORIGINAL_6, **changes)))
    assert found is not None
    return found


def makers(contract: Contract, data: bytes) -> Mapping[str, object]:
    """Return what the maker's client reads from a frame."""
    product_id, firmware = contract.product.product_id, contract.firmware
    layout = SensorStructOriginal
    if contract.product is not ORIGINAL:
        layout = SensorStructBL2 if contract.has_faults else SensorStructBL2Legacy
    found: Mapping[str, object] = translate_sensor_struct(layout.from_buffer_copy(data), product_id, firmware)
    return found


@settings(deadline=None)
@given(st.sampled_from([contract for contract in CONTRACTS if contract.firmware > 1]), st.data())
def test_every_quantity_is_what_the_makers_client_reads(contract: Contract, data: st.DataObject) -> None:
    wire = data.draw(st.binary(min_size=contract.frame_size, max_size=contract.frame_size))
    ours, _ = board_readings(contract, wire)
    theirs = makers(contract, wire)
    for key, name in {"cpu_w": "CPU", "gpu_w": "GPU", "mb_w": "MB", "p_sys": "SYS"}.items():
        if key in ours:
            assert ours[key] == pytest.approx(theirs[f"{name}_Power"])
    names = [rail.upper().replace("_WIRE", "_W") for rail in contract.product.rails]
    for rail, name in zip(contract.product.rails, names, strict=True):
        if f"{rail}_v" in ours:
            values = [ours[f"{rail}_{unit}"] for unit in "vaw"]
            assert values == [theirs[f"{name}_{what}"] for what in ("Voltage", "Current", "Power")]
    for n in range(13):
        assert ours.get(f"vin{n + 1}_v") == theirs[f"VIN_{n}"]
    for n in range(1, 10):
        assert (ours[f"fan{n}_rpm"], ours[f"fan{n}_pct"]) == (theirs[f"Fan{n}_RPM"], theirs[f"Fan{n}_Duty"])
    for sensor in contract.product.sensors:
        theirs_c = theirs[sensor.upper().replace("TS", "TS_") if sensor.startswith("ts") else f"TS_{sensor.upper()}"]
        if theirs_c is not None:  # they hide what is beyond 100 degrees, which is true beside a voltage regulator
            assert ours[f"{sensor}_c"] == theirs_c
    if theirs["Chip_Temp"] is not None:
        assert ours["chip_c"] == theirs["Chip_Temp"]
    assert (ours["vdd_v"], ours["vref_v"]) == (theirs["Vdd"], theirs["Vref"])
    assert ours.get("fan_ext_pct") == theirs["FanExtDuty"]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.product.name} {c.firmware}")
def test_every_key_of_every_contract_is_in_the_catalog(contract: Contract) -> None:
    kv = read(contract, fan_ext_duty_pct=40)
    assert unknown_keys(SOURCE, kv.items()) == []
    assert {f"{rail}_{unit}" for rail in contract.product.rails for unit in "vaw"} <= set(kv)
    assert ("faults" in kv) == contract.has_faults


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.product.name} {c.firmware}")
def test_chip_is_in_degrees_whatever_scale_the_firmware_uses(contract: Contract) -> None:
    assert read(contract)["chip_c"] == 40.0


def test_sums_are_those_of_the_inputs_and_never_of_the_wires() -> None:
    kv = read(Contract(PRODUCTS[0x11], 7))
    for key, part in (("cpu_w", "cpu"), ("mb_w", "mb"), ("gpu_w", "gpu"), ("p_sys", "sys")):
        rails = [kv[f"{rail}_w"] for rail in RAIL_SUMS[part]]
        assert kv[key] == sum(watts for watts in rails if isinstance(watts, float))
    assert kv["p_sys"] == 12.0 * sum(range(11))


def test_what_is_not_connected_is_absent_and_not_327_degrees() -> None:
    kv = read(ORIGINAL_6, inputs_mv=(0x7FFF,) * 12 + (-3,), sensors=(250, 0x7FFF, -105, 0x7FFF), ambient=0x7FFF)
    assert [key for key in kv if key.startswith("vin")] == ["vin13_v"]
    assert kv["vin13_v"] == -0.003
    assert (kv["ts1_c"], kv["ts3_c"]) == (25.0, -10.5)
    assert not {"ts2_c", "ts4_c", "temp_c", "fan_ext_pct"} & set(kv)


def test_ambient_sensor_that_did_not_answer_is_no_frost_in_dry_air() -> None:
    kv = read(ORIGINAL_6, ambient=0, humidity=0)
    assert not {"temp_c", "humidity_pct"} & set(kv)
    assert kv["suspect"] == "temp_c humidity_pct"
    frost = read(ORIGINAL_6, ambient=0, humidity=800)
    assert (frost["temp_c"], frost["humidity_pct"]) == (0.0, 80.0)


def test_chip_that_would_boil_is_absent_and_named() -> None:
    kv = read(ORIGINAL_6, chip=4000)
    assert "chip_c" not in kv
    assert kv["suspect"] == "chip_c"


def test_small_negative_currents_are_readings() -> None:
    rails = (Rail(12_000, -35, -420),) * 11
    kv = read(ORIGINAL_6, rails=rails)
    assert (kv["eps1_a"], kv["eps1_w"]) == (-0.035, -0.42)
    assert kv["p_sys"] == pytest.approx(-4.62)
    assert "suspect" not in kv


def test_power_of_the_device_is_kept_where_it_is_not_the_product_and_named_where_it_is_far_off() -> None:
    rails = (Rail(12_000, 10_000, 118_000), Rail(12_000, 10_000, 60_000), *[Rail(12_000, 0, 0)] * 9)
    kv = read(ORIGINAL_6, rails=rails)
    assert (kv["eps1_w"], kv["eps2_w"]) == (118.0, 60.0)
    assert kv["suspect"] == "eps2_w"


def test_main_voltage_that_breaks_down_under_load_is_kept_and_named() -> None:
    rails = [Rail(12_000, 0, 0)] * 11
    rails[5] = Rail(9_100, 20_000, 182_000)
    kv = read(ORIGINAL_6, rails=tuple(rails))
    assert kv["v_sys"] == 9.1
    assert kv["suspect"] == "atx12v_v"


def test_computer_that_is_off_has_no_current_of_its_whole() -> None:
    kv = read(ORIGINAL_6, rails=(Rail(0, 0, 0),) * 4 + (Rail(5_050, 200, 1010),) + (Rail(0, 0, 0),) * 6)
    assert (kv["v_sys"], kv["p_sys"]) == (0.0, 1.01)
    assert "i_sys" not in kv


def test_sum_with_a_rail_that_reads_nothing_is_absent() -> None:
    rails = list(a_frame(ORIGINAL_6).rails)
    rails[0] = Rail(0x7FFF, 0, 0)
    kv = read(ORIGINAL_6, rails=tuple(rails))
    assert not {"eps1_v", "eps1_w", "cpu_w", "p_sys", "i_sys"} & set(kv)
    assert {"gpu_w", "mb_w"} <= set(kv)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"vdd_mv": 0}, "supply of 0 mV"),
        ({"vdd_mv": 3701}, "supply of 3701 mV"),
        ({"vref_mv": 1999}, "reference of 1999 mV"),
        ({"fan_ext_duty_pct": 101}, "duty of 101 %"),
        ({"fans": (Fan(1, 130, 0),) * 9}, "duty of 130 %"),
        ({"fan_switch": 3}, "switches at (3, 0, 0)"),
        ({"rgb_switch": 2}, "switches at (0, 2, 0)"),
        ({"rgb_ext": 9}, "switches at (0, 0, 9)"),
    ],
)
def test_frame_that_no_board_sends_is_doubted(changes: dict[str, object], found: str) -> None:
    assert found in doubt(**changes)


@settings(deadline=None)
@given(st.integers(1, 215))
def test_frame_that_begins_in_the_middle_is_doubted(shift: int) -> None:
    wire = ORIGINAL_6.encode(a_frame(ORIGINAL_6)) * 2
    kv, found = board_readings(ORIGINAL_6, wire[shift : shift + 216])
    assert found is not None, kv


def test_faults_have_the_makers_names() -> None:
    contract = Contract(PRODUCTS[0x11], 7)
    kv = read(contract, faults=(1 | 1 << 14 | 1 << 33, 1 << 20 | 1 << 40))
    assert kv["faults"] == "otp_tchip ocp_atx12v current_imbalance_hpwr2"
    assert kv["faults_latched"] == "wire_ocp_hpwr1_wire1 0x10000000000"
    assert len(FAULTS) == 34


def test_pmd_usb_has_processor_and_graphics_card_and_never_a_whole() -> None:
    kv, doubt = usb_readings(encode_usb((UsbRail(1205, 15), UsbRail(1200, 20), UsbRail(1203, 47), UsbRail(1206, -1))))
    assert doubt is None
    assert unknown_keys(PMD_SOURCE, kv.items()) == []
    assert (kv["pcie1_v"], kv["pcie1_a"], kv["pcie1_w"]) == (12.05, 1.5, 18.075)
    assert kv["gpu_w"] == 42.075
    assert kv["cpu_w"] == pytest.approx(55.335)
    assert not {"p_sys", "mb_w", "v_sys"} & set(kv)


def pmd2(vdd_mv: int = 3300) -> bytes:
    rails = tuple(Pmd2Rail(12_000, 1000 * n, 12_000 * n) for n in range(10))
    return encode_pmd2(Pmd2Frame(vdd_mv, 400, rails, (9, 9, 9, 9), bytes(10)))


def test_pmd2_sums_its_rails_and_does_not_trust_sums_without_a_unit() -> None:
    kv, doubt = pmd2_readings(pmd2())
    assert doubt is None
    assert unknown_keys(PMD_SOURCE, kv.items()) == []
    assert kv["p_sys"] == 12.0 * sum(range(10))
    parts = [kv[key] for key in ("cpu_w", "gpu_w", "mb_w")]
    assert kv["p_sys"] == sum(watts for watts in parts if isinstance(watts, float))
    assert pmd2_readings(pmd2(vdd_mv=100))[1] is not None


def test_catalog_knows_the_rails_that_the_small_meters_have() -> None:
    assert set(PMD_RAILS) == {*PMD2.rails, *PMD_USB.rails}


def test_unknown_firmware_is_bytes_and_nothing_else() -> None:
    assert raw_readings(b"\x01\xff") == ({"raw_hex": "01ff"}, None)
    with pytest.raises(ValueError, match="no reply"):
        raw_readings(b"")
