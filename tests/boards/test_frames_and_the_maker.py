"""Every frame there can be, decoded by us and by the maker's library: the same values, and the same ones absent."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchlab.boards.benchlab import NO_SIGNAL, NOT_CONNECTED, Contract, Fan, Frame, Rail
from benchlab.boards.pmd import (
    Pmd2Frame,
    Pmd2Rail,
    UsbRail,
    decode_pmd2,
    decode_usb,
    encode_pmd2,
    encode_usb,
)
from support.makers_values import CONTRACTS, makers_values, named, our_values


def ints(bits: int, *, signed: bool, often: tuple[int, ...] = ()) -> st.SearchStrategy[int]:
    low = -(1 << (bits - 1)) if signed else 0
    high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    return st.one_of(st.sampled_from((low, high, 0, *often)), st.integers(low, high))


I16 = ints(16, signed=True, often=(NOT_CONNECTED, 1000, 1001, -1000, -1001, 12_000))
U16, U8 = ints(16, signed=False), ints(8, signed=False, often=(NO_SIGNAL, 100))
I32, U64 = ints(32, signed=True), ints(64, signed=False)
RAIL = st.builds(Rail, I16, I32, I32)
FAN = st.builds(Fan, U8, U8, U16)


def frames(contract: Contract) -> st.SearchStrategy[Frame]:
    def many(one: st.SearchStrategy[Any], count: int) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.tuples(*[one] * count)

    product = contract.product
    return st.builds(
        Frame,
        inputs_mv=many(I16, 13),
        vdd_mv=U16,
        vref_mv=U16,
        chip=I16,
        sensors=many(I16, len(product.sensors)),
        ambient=I16,
        humidity=U16,
        fan_switch=U8,
        rgb_switch=U8,
        rgb_ext=U8,
        fan_ext_duty_pct=U8,
        rails=many(RAIL, len(product.rails)),
        fans=many(FAN, 9),
        faults=st.tuples(U64, U64) if contract.has_faults else st.none(),
    )


@pytest.mark.parametrize("contract", CONTRACTS, ids=named)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_we_and_the_maker_read_the_same_in_any_bytes(contract: Contract, data: st.DataObject) -> None:
    reply = data.draw(st.binary(min_size=contract.frame_size, max_size=contract.frame_size))
    assert our_values(contract, contract.decode(reply)) == pytest.approx(makers_values(contract, reply), abs=1e-9)


@pytest.mark.parametrize("contract", CONTRACTS, ids=named)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_frame_survives_the_wire_and_the_maker_reads_it_too(contract: Contract, data: st.DataObject) -> None:
    frame = data.draw(frames(contract))
    reply = contract.encode(frame)
    assert contract.decode(reply) == frame
    assert our_values(contract, frame) == pytest.approx(makers_values(contract, reply), abs=1e-9)


@pytest.mark.parametrize("contract", CONTRACTS, ids=named)
@pytest.mark.parametrize("change", [-1, 1, None], ids=["short", "long", "empty"])
def test_a_reply_of_another_length_is_refused(contract: Contract, change: int | None) -> None:
    size = 0 if change is None else contract.frame_size + change
    with pytest.raises(ValueError, match=f"found a frame of {size} bytes, expected {contract.frame_size}"):
        contract.decode(bytes(size))


def test_what_does_not_fit_the_wire_is_refused_not_wrapped() -> None:
    contract = CONTRACTS[0]
    frame = contract.decode(bytes(contract.frame_size))
    with pytest.raises(ValueError, match="BENCHLAB firmware 1"):
        contract.encode(frame._replace(vdd_mv=70_000))
    with pytest.raises(ValueError):
        contract.encode(frame._replace(sensors=()))
    with pytest.raises(ValueError):
        encode_usb((UsbRail(40_000, 0),) * 4)
    with pytest.raises(ValueError):
        encode_pmd2(decode_pmd2(bytes(122))._replace(sums=(0, 0, 0, -1)))


@settings(max_examples=100, deadline=None)
@given(rails=st.tuples(*[st.builds(UsbRail, I16, I16)] * 4))
@example(rails=(UsbRail(-1, 1), UsbRail(0, 0), UsbRail(32767, -32768), UsbRail(1205, 104)))
def test_pmd_usb_survives_the_wire(rails: tuple[UsbRail, ...]) -> None:
    reply = encode_usb(rails)
    assert reply == struct.pack("<8h", *(number for rail in rails for number in rail))
    assert decode_usb(reply) == rails


@settings(max_examples=100, deadline=None)
@given(
    frame=st.builds(
        Pmd2Frame,
        U16,
        I16,
        st.tuples(*[st.builds(Pmd2Rail, I16, I32, I32)] * 10),
        st.tuples(U16, U16, U16, U16),
        st.binary(min_size=10, max_size=10),
    )
)
def test_pmd2_survives_the_wire(frame: Pmd2Frame) -> None:
    assert decode_pmd2(encode_pmd2(frame)) == frame


@pytest.mark.parametrize("decode, size", [(decode_usb, 16), (decode_pmd2, 122)])
def test_a_reading_of_another_length_is_refused(decode: Any, size: int) -> None:
    for wrong in (0, size - 1, size + 1):
        with pytest.raises(ValueError, match=f"found a frame of {wrong} bytes, expected {size}"):
            decode(bytes(wrong))
