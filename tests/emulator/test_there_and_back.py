"""What a reader records, shown by the emulator again, is what the reader records again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchctl.emulator.products import BOARDS, make
from benchlab.boards.benchlab import Contract, Fan, Frame, Rail
from benchlab.boards.pmd import Pmd2Frame, Pmd2Rail, UsbRail, encode_pmd2, encode_usb
from benchlabd.readings import board_readings, pmd2_readings, usb_readings
from support.makers_values import CONTRACTS, named

PRODUCT = {board.product_id: name for name, board in BOARDS.items()}


I16 = st.one_of(st.sampled_from((0x7FFF, 0, -1000, 1001)), st.integers(-32768, 32767))
I32 = st.integers(-(2**31), 2**31 - 1)
RAIL = st.builds(Rail, st.integers(-32768, 32766), I32, I32)
FAN = st.builds(Fan, st.integers(0, 1), st.integers(0, 100), st.integers(0, 65535))


def many(one: st.SearchStrategy[Any], count: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(*[one] * count)


def frames(contract: Contract) -> st.SearchStrategy[Frame]:
    """Return frames that a reader believes: others it does not record."""
    product = contract.product
    return st.builds(
        Frame,
        inputs_mv=many(I16, 13),
        vdd_mv=st.integers(2500, 3700),
        vref_mv=st.integers(2000, 3700),
        chip=I16,
        sensors=many(I16, len(product.sensors)),
        ambient=I16,
        humidity=st.one_of(st.just(0), st.integers(0, 65535)),
        fan_switch=st.integers(0, 2),
        rgb_switch=st.integers(0, 1),
        rgb_ext=st.integers(0, 1),
        fan_ext_duty_pct=st.one_of(st.just(255), st.integers(0, 100)),
        rails=many(RAIL, len(product.rails)),
        fans=many(FAN, 9),
        faults=many(st.integers(0, 2**64 - 1), 2) if contract.has_faults else st.none(),
    )


@pytest.mark.parametrize("contract", CONTRACTS, ids=named)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_recorded_board_reads_as_it_was_recorded(contract: Contract, data: st.DataObject) -> None:
    recorded, doubt = board_readings(contract, contract.encode(data.draw(frames(contract))))
    again = make(PRODUCT[contract.product.product_id], contract.firmware).encode(recorded)
    assert doubt is None
    assert board_readings(contract, again) == (recorded, None)


@settings(max_examples=100, deadline=None)
@given(rails=many(st.builds(UsbRail, I16, I16), 4))
def test_recorded_pmd_usb_reads_as_it_was_recorded(rails: tuple[UsbRail, ...]) -> None:
    recorded, _ = usb_readings(encode_usb(rails))
    assert usb_readings(make("pmd-usb").encode(recorded)) == (recorded, None)


@settings(max_examples=100, deadline=None)
@given(rails=many(st.builds(Pmd2Rail, st.integers(-32768, 32766), I32, I32), 10), vdd_mv=st.integers(2500, 3700))
def test_recorded_pmd2_reads_as_it_was_recorded(rails: tuple[Pmd2Rail, ...], vdd_mv: int) -> None:
    recorded, _ = pmd2_readings(encode_pmd2(Pmd2Frame(vdd_mv, 0, rails, (0, 0, 0, 0), bytes(10))))
    assert pmd2_readings(make("pmd2").encode(recorded)) == (recorded, None)
