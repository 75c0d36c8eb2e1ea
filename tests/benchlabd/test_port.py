"""The port: what may be sent, and that a reply is never another one's tail."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.boards.benchlab import PRODUCTS, READ_UID, READ_VENDOR_DATA, Contract
from benchlab.boards.command import Forbidden
from benchlab.boards.pmd import METERS
from benchlabd.handshake import handshake
from benchlabd.port import Exchange, OutOfStepError, Port
from support.meters import FRAME_6, MS, ORIGINAL_6, FakeLine, Time
from support.tree import REPOSITORY

NEVER_ON_A_BOARD = {2, 4, 6, 8, 0x0A, 0x0B, 0x0C, 0x10, 0x11, 0x12, 0x16, 0xF0, 0xF1, 0xFF}
NEVER_ON_A_METER = {"PMD-USB": {5, 7, 8, 0xF0, 0xF1}, "PMD2": {5, 7, 8, 9, 0xF0, 0xF1, 0xF2, 0xFF}}
GREETING = ORIGINAL_6.welcome


def trusted(line: FakeLine, time: Time) -> Port:
    port = Port(line, time)
    port.trust(ORIGINAL_6.commands.values(), b"BENCHLAB", len(GREETING))
    return port


def asked(line: Callable[[Time], FakeLine], opcode: int = 1) -> Exchange:
    time = Time()
    return trusted(line(time), time).ask(opcode)


@pytest.mark.parametrize("opcode", range(1, 256))
def test_stranger_is_sent_nothing_but_a_welcome(opcode: int) -> None:
    line = FakeLine(Time())
    with pytest.raises(Forbidden):
        Port(line, Time()).ask(opcode)
    assert line.written == []


def test_no_contract_allows_what_writes_switches_or_resets() -> None:
    for product in PRODUCTS.values():
        for firmware in product.firmware:
            assert not NEVER_ON_A_BOARD & set(Contract(product, firmware).commands)
    for meter in METERS:
        assert not NEVER_ON_A_METER[meter.name] & set(meter.commands)


@settings(deadline=None)
@given(st.integers(0, 255), st.binary(max_size=4))
def test_nothing_off_the_list_is_ever_written(opcode: int, arguments: bytes) -> None:
    time = Time()
    line = FakeLine(time)
    port = trusted(line, time)
    try:
        port.ask(opcode, arguments)
    except Forbidden:
        assert line.written == []
    except OutOfStepError:
        pass
    allowed = {number: command.arguments for number, command in ORIGINAL_6.commands.items()}
    assert all(len(sent) - 1 == allowed.get(sent[0]) for sent in line.written)


def test_one_place_of_the_program_writes_to_a_device() -> None:
    found = []
    for path in sorted((REPOSITORY / "apps/benchlabd").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "write":
                found.append((path.name, ast.unparse(node.func)))
    assert found == [("line.py", "os.write"), ("port.py", "self._line.write")]


@settings(deadline=None)
@given(st.lists(st.integers(1, 215), max_size=5, unique=True))
def test_reply_in_pieces_is_one_reply(cuts: list[int]) -> None:
    time = Time()
    line = FakeLine(time, lambda request: b"")
    edges = [0, *sorted(cuts), 216]
    for n, (start, end) in enumerate(pairwise(edges)):
        line.push(FRAME_6[start:end], (2 + n) * MS)
    exchange = trusted(line, time).ask(1)
    assert exchange.data == FRAME_6
    assert exchange.rtt_ns == (2 + len(edges) - 2) * MS


@pytest.mark.parametrize("missing", [1, 100, 216])
def test_reply_that_lacks_bytes_is_none(missing: int) -> None:
    with pytest.raises(OutOfStepError, match=rf"found {216 - missing} bytes after 250 ms, expected 216"):
        asked(lambda time: FakeLine(time, lambda request: FRAME_6[:-missing]))


def test_reply_that_is_too_long_is_none() -> None:
    with pytest.raises(OutOfStepError, match="found 384 bytes, expected 216 in reply to 01"):
        asked(lambda time: FakeLine(time, lambda request: bytes(384)))


def test_bytes_that_wait_are_not_taken_for_the_reply() -> None:
    time = Time()
    line = FakeLine(time)
    line.push(FRAME_6[100:])
    with pytest.raises(OutOfStepError, match="116 bytes that nobody asked for"):
        trusted(line, time).ask(1)
    assert line.written == []


@pytest.mark.parametrize("opcode", [1, READ_UID.opcode, READ_VENDOR_DATA.opcode])
def test_greeting_in_front_of_a_reply_is_taken_out(opcode: int) -> None:
    plain = asked(FakeLine, opcode).data

    def greeting_first(time: Time) -> FakeLine:
        device = FakeLine(time)
        device.push(GREETING, MS // 2)  # on its way while the request is
        return device

    assert asked(greeting_first, opcode).data == plain


def test_greeting_between_two_exchanges_is_thrown_away() -> None:
    time = Time()
    line = FakeLine(time)
    port = trusted(line, time)
    port.ask(1)
    line.push(GREETING)
    assert port.ask(1).data == FRAME_6


def test_greeting_in_two_pieces_in_front_of_a_reply_is_taken_out() -> None:
    time = Time()
    line = FakeLine(time)
    line.push(GREETING[:3], MS // 4)
    line.push(GREETING[3:], MS // 2)
    assert trusted(line, time).ask(READ_VENDOR_DATA.opcode).data == b"\xee\x10\x06"


def test_line_that_never_falls_silent_is_given_up() -> None:
    time = Time()
    line = FakeLine(time)
    for n in range(100):
        line.push(b"x", n * 50 * MS)
    with pytest.raises(OutOfStepError, match="does not fall silent"):
        Port(line, time).drain()


def test_reply_of_unknown_length_ends_with_silence_and_is_bounded() -> None:
    time = Time()
    line = FakeLine(time, lambda request: b"")
    for n in range(4):
        line.push(bytes(64), (3 + n) * MS)
    line.push(b"later", 100 * MS)
    port = Port(line, time)
    exchange = port.ask_openly(0)
    assert (len(exchange.data), exchange.rtt_ns) == (256, 6 * MS)


def test_handshake_sends_one_welcome_before_it_knows_whom_it_talks_to() -> None:
    time = Time()
    line = FakeLine(time)
    handshake(Port(line, time), "/dev/ttyACM0")
    assert line.written == [b"\x00", b"\x0e", b"\x0d", b"\x03"]
