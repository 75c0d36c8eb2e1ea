"""Frames whose bytes were packed by the maker's contracts, or by hand: every value at its place and in its scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchlab.boards.benchlab import NO_SIGNAL, NOT_CONNECTED, contract_of
from benchlab.boards.pmd import PMD2, PMD_USB, decode_pmd2, decode_usb, encode_pmd2, encode_usb

FIXTURES = Path(__file__).parent.parent / "fixtures" / "boards"
BOARDS = ("original_fw02", "original_fw05", "bl2_fw04", "bl2_fw06")


def golden(name: str) -> tuple[dict[str, Any], bytes]:
    found = json.loads((FIXTURES / f"{name}.json").read_text())
    return found, bytes.fromhex(found["hex"])


def or_none(raw: int, per_unit: int, absent: int = NOT_CONNECTED) -> float | None:
    return None if raw == absent else raw / per_unit


@pytest.mark.parametrize("name", BOARDS)
def test_every_field_of_a_board_stands_where_the_contract_says(name: str) -> None:
    found, data = golden(name)
    expect = found["expect"]
    contract = contract_of(found["product_id"], found["fw_version"])
    assert contract is not None and contract.frame_size == found["size"]
    frame = contract.decode(data)
    assert [or_none(mv, 1000) for mv in frame.inputs_mv] == expect["vin_v"]
    assert (frame.vdd_mv / 1000, frame.vref_mv / 1000) == (expect["vdd_v"], expect["vref_v"])
    assert frame.chip / contract.chip_per_degree == expect["chip_c"]
    assert [or_none(tenths, 10) for tenths in frame.sensors] == expect["ts_c"]
    assert (frame.ambient / 10, frame.humidity / 10) == (expect["ambient_c"], expect["humidity_pct"])
    assert [frame.fan_switch, frame.rgb_switch, frame.rgb_ext] == expect["switches"]
    assert or_none(frame.fan_ext_duty_pct, 1, NO_SIGNAL) == expect["fan_ext_duty"]
    rails = [{"v": rail.mv / 1000, "a": rail.ma / 1000, "w": rail.mw / 1000} for rail in frame.rails]
    assert rails == list(expect["rails"].values())
    fans = [{"enable": fan.enabled, "duty_pct": fan.duty_pct, "rpm": fan.rpm} for fan in frame.fans]
    assert fans == expect["fans"]
    assert frame.faults == (tuple(expect["faults"]) if "faults" in expect else None)


@pytest.mark.parametrize("name", BOARDS)
def test_rails_bear_the_names_of_their_places(name: str) -> None:
    found, _ = golden(name)
    contract = contract_of(found["product_id"], found["fw_version"])
    assert contract is not None
    makers = [rail.lower().replace("_w", "_wire") for rail in found["expect"]["rails"]]
    assert list(contract.product.rails) == makers


def test_pmd_usb_reads_hundredths_of_a_volt_and_tenths_of_an_ampere() -> None:
    found, data = golden("pmd_usb")
    rails = decode_usb(data)
    shown = {name: {"v": rail.cv / 100, "a": rail.da / 10} for name, rail in zip(PMD_USB.rails, rails, strict=True)}
    assert shown == found["expect"]["rails"]
    assert encode_usb(rails) == data


def test_pmd2_is_packed_without_gaps() -> None:
    found, data = golden("pmd2")
    frame, expect = decode_pmd2(data), found["expect"]
    shown = {
        name: {"v": rail.mv / 1000, "a": rail.ma / 1000, "w": rail.mw / 1000}
        for name, rail in zip(PMD2.rails, frame.rails, strict=True)
    }
    assert shown == expect["rails"]
    assert (frame.vdd_mv / 1000, frame.chip) == (expect["vdd_v"], expect["chip"])
    assert list(frame.sums) == expect["sums"]
    assert list(frame.ocp) == expect["ocp"]
    assert encode_pmd2(frame) == data
