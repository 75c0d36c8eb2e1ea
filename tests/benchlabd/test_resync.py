"""What goes wrong on the line costs a reading at most: never a wrong one, never a restart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchctl.emulator.emulator import Emulator
from benchctl.emulator.products import make
from benchlab.boards.benchlab import Rail
from benchlab.daemon import Absent, Transient
from benchlab.daemon.source import identity_of
from support.meters import FRAME_6, MS, ORIGINAL_6, UID_A, FakeLine, Time, a_frame, on_lines, source, take, why_not

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
        readings = [take(board)]
        while not (noted := [reading for reading in readings if reading.kv.get("event") == "resynchronised"]):
            emulator.fault(fault, amount)
            try:
                readings += board.sample()
            except Transient:  # this machine is so slow that more than one reply was late
                continue
        readings += [take(board) for _ in range(5)]
    assert [reading.dev for reading in noted] == [UID_A]
    assert int(str(noted[0].kv["attempts"])) in ((3,) if (fault, amount) == ("drop", 2) else (2, 3))
    assert all(reading.kv["eps1_w"] == 120.0 for reading in readings if reading.source is None)


@pytest.mark.parametrize(("fault", "amount"), [("split", 1.0), ("welcome", None)])
def test_reply_in_pieces_or_behind_a_greeting_is_one(emulator: Emulator, fault: str, amount: float | None) -> None:
    with emulator:
        board = source(emulator.path)
        for _ in range(10):
            assert take(board).kv["eps1_w"] == 120.0
            emulator.fault(fault, amount)


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
    line.answer_with(lambda request: frames.pop(0) if request == b"\1" else None)
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
    line.answer_with(lambda request: replies.pop(0) if request == b"\1" else None)
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


def test_device_that_introduces_itself_but_gives_no_reading_has_its_port_reopened_too() -> None:
    time = Time()
    lines = [FakeLine(time), FakeLine(time)]
    board = on_lines(list(lines), time)
    take(board)
    lines[0].answer_with(lambda request: b"" if request == b"\1" else None)
    assert "expected 216 in reply to 01" in str(why_not(board))
    assert "expected 216 in reply to 01" in str(why_not(board))
    assert lines[0].is_closed
    assert take(board).dev == UID_A


def test_reading_is_kept_when_the_calibration_behind_it_fails() -> None:
    time = Time()
    line = FakeLine(time)
    board = on_lines([line], time)
    take(board)
    line.answer_with(lambda request: b"" if request == b"\x0e" else None)
    assert take(board, attempts=1).kv["vdd_v"] == 3.3
    line.answer_with(lambda request: None)
    assert take(board, attempts=1).kv["vdd_v"] == 3.3


def test_device_with_another_id_does_not_go_on_as_this_one() -> None:
    time = Time()
    line = FakeLine(time)
    board = on_lines([line], time)
    take(board)
    other = {b"\0": b"BENCHLAB".ljust(32, b"\0"), b"\x0e": b"\xee\x10\x06", b"\x0d": bytes(12), b"\3": bytes(32)}
    line.answer_with(lambda request: other.get(request, b""))
    why_not(board)
    assert "found BENCHLAB 000000000000000000000000, expected 0123456789ABCDEF01234567" in str(why_not(board))


NOISE = st.one_of(
    st.tuples(st.just("drop"), st.just(0)),
    st.tuples(st.just("short"), st.integers(1, 215)),
    st.tuples(st.just("late"), st.integers(1, 3000)),
    st.tuples(st.just("garbage"), st.integers(1, 500)),
    st.tuples(st.just("greeting"), st.integers(0, 3)),
)


class NoisyLine(FakeLine):
    """A board whose n-th reply goes wrong as ``noise`` says, and whose readings say which they are."""

    def __init__(self, time: Time, noise: dict[int, tuple[str, int]]) -> None:
        super().__init__(time)
        self._noise = noise
        self._free_ns = 0
        self._wire = make("original", 6, UID_A)
        self.exchanges = 0

    def write(self, data: bytes) -> None:
        kind, amount = self._noise.get(self.exchanges, ("", 0))
        self.exchanges += 1
        self.written.append(data)
        sampled_ns = self._time.ns + MS
        frame = FRAME_6
        if data == b"\1":
            rails = (Rail(12_000, len(self.sampled_ns), 12 * len(self.sampled_ns)),) + (Rail(12_000, 0, 0),) * 10
            frame = ORIGINAL_6.encode(a_frame(ORIGINAL_6, rails=rails))
            self.sampled_ns.append(sampled_ns)
        reply = self._device.answer(data, lambda: frame)
        if kind == "drop":
            return
        if kind == "garbage":
            self.push(bytes(n * 37 % 256 for n in range(amount)), MS // 2)
        if kind == "greeting":
            self.push(self._wire.welcome, amount * MS)
        due_ns = max(sampled_ns + MS + (amount * MS if kind == "late" else 0), self._free_ns)
        self._free_ns = due_ns  # a board answers one request after the other
        self._coming.append((due_ns, reply[:-amount] if kind == "short" else reply))


@settings(deadline=None)
@given(st.dictionaries(st.integers(4, 60), NOISE, max_size=12))
def test_no_noise_ever_makes_a_reading_of_another_time_or_stops_them_for_good(
    noise: dict[int, tuple[str, int]],
) -> None:
    time = Time()
    line = NoisyLine(time, noise)
    board = on_lines([line] * 1000, time)
    readings = []
    while line.exchanges < 80:
        try:
            readings += [reading for reading in board.sample() if reading.source is None]
        except (Absent, Transient):
            time.ns += 500 * MS
        time.ns += 100 * MS
    assert len(readings) >= 10
    for reading in readings:
        assert reading.ts_ns is not None and reading.unc_ns is not None
        assert reading.kv["eps1_v"] == 12.0 and reading.kv["fan9_rpm"] == 800
        number = round(float(str(reading.kv["eps1_a"])) * 1000)
        assert abs(reading.ts_ns - line.sampled_ns[number]) <= reading.unc_ns
    assert set(line.written) <= {bytes((opcode,)) for opcode in ORIGINAL_6.commands}
