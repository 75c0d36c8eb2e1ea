"""What goes wrong on the line costs a reading at most: never a wrong one, never a restart."""

from __future__ import annotations

import pytest

from benchctl.emulator.emulator import Emulator
from benchlab.daemon import Transient
from benchlab.daemon.source import identity_of
from support.meters import FRAME_6, UID_A, FakeLine, Time, on_lines, source, take, why_not

VALUES = {"eps1_v": 12.0, "eps1_a": 10.0, "eps1_w": 120.0, "atx12v_v": 12.0, "vdd_v": 3.3, "vref_v": 3.0}


@pytest.fixture
def emulator() -> Emulator:
    return Emulator("original", uid=UID_A, values=VALUES)


@pytest.mark.parametrize(
    ("fault", "amount"),
    [("short", 1), ("short", 215), ("drop", 1), ("drop", 2), ("late", 260), ("late", 340), ("garbage", 5)],
)
def test_one_bad_reply_is_asked_for_again_and_told_of(emulator: Emulator, fault: str, amount: float) -> None:
    with emulator:
        board = source(emulator.path)
        take(board)
        emulator.fault(fault, amount)
        readings = list(board.sample())
        after = [take(board) for _ in range(5)]
    assert readings[0].kv["eps1_w"] == 120.0
    noted = [reading for reading in readings if reading.kv.get("event") == "resynchronised"]
    assert [reading.dev for reading in noted] == [UID_A]
    assert noted[0].kv["attempts"] == (3 if (fault, amount) == ("drop", 2) else 2)
    assert all(reading.kv["eps1_w"] == 120.0 for reading in after)


@pytest.mark.parametrize(("fault", "amount"), [("split", 1.0), ("welcome", None)])
def test_what_is_no_fault_of_the_reply_is_not_even_told(emulator: Emulator, fault: str, amount: float | None) -> None:
    with emulator:
        board = source(emulator.path)
        take(board)
        emulator.fault(fault, amount)
        readings = list(board.sample())
    assert readings[0].kv["eps1_w"] == 120.0
    assert "resynchronised" not in [reading.kv.get("event") for reading in readings]


def test_silent_device_is_down_and_comes_back_without_help(emulator: Emulator) -> None:
    with emulator:
        board = source(emulator.path)
        take(board)
        emulator.fault("silence", 2.5)
        error = why_not(board)
        reading = take(board)
    assert isinstance(error, Transient)
    assert "found 0 bytes after 250 ms, expected 216 in reply to 01" in str(error)
    assert reading.kv["eps1_w"] == 120.0


def test_firmware_that_was_changed_meanwhile_is_known_by_its_new_contract(emulator: Emulator) -> None:
    with emulator:
        board = source(emulator.path)
        take(board)
        emulator.fault("firmware", 2)
        while identity_of(board)["firmware"] != 2:
            take(board)
        assert take(board).kv["eps1_w"] == 120.0
    assert emulator.violations == []


def test_frame_of_another_firmware_is_not_read_with_this_ones_layout() -> None:
    time = Time()
    line = FakeLine(time)
    board = on_lines([line], time)
    take(board)
    line.answer_with(lambda request: bytes(384))
    assert "found 384 bytes, expected 216" in str(why_not(board))


def test_implausible_frame_twice_is_never_shown_and_a_true_one_after_it_is() -> None:
    time = Time()
    line = FakeLine(time)
    board = on_lines([line], time)
    take(board)
    frames = [bytes(216), bytes(216), FRAME_6]
    line.answer_with(lambda request: frames.pop(0) if request == b"\1" else b"")
    readings = list(board.sample())
    assert readings[0].kv["vdd_v"] == 3.3
    (note,) = [reading.kv for reading in readings if reading.kv.get("event") == "resynchronised"]
    assert note["attempts"] == 3
    assert note["why"] == "a supply of 0 mV, expected 2500 to 3700"


def test_tail_of_a_late_reply_is_awaited_before_the_next_request() -> None:
    time = Time()
    line = FakeLine(time)
    board = on_lines([line], time)
    take(board)
    replies = [FRAME_6[:100], FRAME_6]
    line.answer_with(lambda request: replies.pop(0) if request == b"\1" else b"")
    line.push(FRAME_6[100:], 320_000_000)  # 70 ms behind the deadline
    assert next(iter(board.sample())).kv["vdd_v"] == 3.3


def test_device_that_does_not_introduce_itself_again_has_its_port_reopened() -> None:
    time = Time()
    lines = [FakeLine(time), FakeLine(time)]
    opened = list(lines)
    board = on_lines(opened, time)
    take(board)
    lines[0].answer_with(lambda request: b"")
    why_not(board)  # three requests in vain
    why_not(board)  # says nothing to WELCOME either
    assert lines[0].is_closed
    assert take(board).dev == UID_A
    assert opened == []


def test_device_with_another_id_does_not_go_on_as_this_one() -> None:
    time = Time()
    line = FakeLine(time)
    board = on_lines([line], time)
    take(board)
    other = {b"\0": b"BENCHLAB".ljust(32, b"\0"), b"\x0e": b"\xee\x10\x06", b"\x0d": bytes(12), b"\3": bytes(32)}
    line.answer_with(lambda request: other.get(request, b""))
    why_not(board)
    assert "found BENCHLAB 000000000000000000000000, expected 0123456789ABCDEF01234567" in str(why_not(board))
