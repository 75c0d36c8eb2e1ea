"""What goes wrong on the line: each fault as the host sees it, in bytes and in time, without a port."""

from __future__ import annotations

import statistics

import pytest

from benchctl.emulator.faults import LineFault, line_fault, parse_fault, parse_scheduled
from benchctl.emulator.machine import Machine, Piece
from benchctl.emulator.products import make
from benchctl.emulator.sources import Given
from benchlab.sim import LogNormal

SENSORS = b"\x01"


def machine(product: str = "bl2", firmware: int = 7, latency: LogNormal | None = None, **options: float) -> Machine:
    made = make(product, firmware)
    return Machine(made, Given(made, {"eps1_v": 12.0}), latency, **options)  # type: ignore[arg-type]


def befallen(kind: str, amount: float | None = None, request: bytes = SENSORS) -> tuple[Machine, list[Piece]]:
    """Return what comes of a request at second 10, with a fault that came at second 9."""
    device = machine()
    assert device.inject(line_fault(kind, amount), 9.0) == []
    return device, device.receive(request, 10.0)


def whole(device: Machine, now_s: float = 20.0) -> bytes:
    return b"".join(piece.data for piece in device.receive(SENSORS, now_s))


FRAME = whole(machine())


def test_without_a_fault_the_reply_is_one_piece() -> None:
    assert machine().receive(SENSORS, 10.0) == [Piece(10.0, FRAME)]
    assert len(FRAME) == 384


def test_late_comes_whole_but_late_and_once() -> None:
    device, pieces = befallen("late", 250)
    assert pieces == [Piece(10.25, FRAME)]
    assert device.receive(SENSORS, 20.0) == [Piece(20.0, FRAME)]


def test_reply_never_overtakes_the_late_one_before_it() -> None:
    device, _ = befallen("late", 250)
    assert device.receive(SENSORS, 10.1) == [Piece(10.25, FRAME)]


def test_short_lacks_its_end() -> None:
    device, pieces = befallen("short")
    assert pieces == [Piece(10.0, FRAME[:-1])]
    assert whole(device) == FRAME
    assert befallen("short", 380)[1] == [Piece(10.0, FRAME[:4])]
    assert befallen("short", 384)[1] == []


def test_drop_loses_as_many_replies_as_asked() -> None:
    device, pieces = befallen("drop", 2)
    assert pieces == []
    assert device.receive(SENSORS, 11.0) == []
    assert whole(device) == FRAME


def test_split_comes_in_packets() -> None:
    _, pieces = befallen("split", 3)
    assert [len(piece.data) for piece in pieces] == [64] * 6
    assert b"".join(piece.data for piece in pieces) == FRAME
    assert [round(piece.due_s, 6) for piece in pieces] == [10.0, 10.003, 10.006, 10.009, 10.012, 10.015]


def test_welcome_stands_in_front_of_a_reply() -> None:
    _, pieces = befallen("welcome")
    assert pieces == [Piece(10.0, b"BENCHLAB".ljust(32, b"\0") + FRAME)]


def test_garbage_comes_at_once_and_is_the_same_every_time() -> None:
    (piece,) = machine().inject(line_fault("garbage", 5), 9.0)
    assert (piece.due_s, len(piece.data)) == (9.0, 5)
    assert machine().inject(line_fault("garbage", 5), 9.0) == [piece]
    assert machine(seed=2).inject(line_fault("garbage", 5), 9.0) != [piece]


def test_silence_ends() -> None:
    device, pieces = befallen("silence", 1.5)
    assert pieces == []
    assert device.receive(SENSORS, 10.4) == []
    assert device.receive(SENSORS, 10.6) == [Piece(10.6, FRAME)]


def test_frozen_values_are_those_that_were_shown_last() -> None:
    device = machine()
    made = device.device.make
    assert whole(device, 1.0) == FRAME
    device.source = Given(made, {"eps1_v": 5.0})
    device.inject(line_fault("freeze", 2), 2.0)
    assert whole(device, 3.9) == FRAME
    assert whole(device, 4.1) == made.encode({"eps1_v": 5.0})


def test_boot_loader_answers_until_it_is_over() -> None:
    device, pieces = befallen("bootloader", 5, request=b"\x00")
    assert pieces == [Piece(10.0, b"EEBL0\0")]
    assert device.receive(SENSORS, 11.0) == []
    assert device.opened(11.0) == []
    assert whole(device, 14.1) == FRAME


@pytest.mark.parametrize(
    ("kind", "amount", "answer"), [("product", 0x10, b"\xee\x10\x07"), ("firmware", 42, b"\xee\x11*")]
)
def test_claim_is_made_from_then_on(kind: str, amount: int, answer: bytes) -> None:
    device, pieces = befallen(kind, amount, request=b"\x0e")
    assert pieces == [Piece(10.0, answer)]
    assert device.receive(b"\x0e", 99.0) == [Piece(99.0, answer)]


def test_faults_come_one_by_one_in_their_order() -> None:
    device, pieces = befallen("short")
    device.inject(line_fault("welcome"), 10.1)
    device.inject(line_fault("drop"), 10.1)
    assert len(pieces[0].data) == 383
    assert [len(b"".join(p.data for p in device.receive(SENSORS, 11.0 + n))) for n in range(3)] == [416, 0, 384]


@pytest.mark.parametrize(
    ("product", "firmware", "welcome"),
    [
        ("original", 4, None),
        ("original", 5, b"BENCHLAB".ljust(32, b"\0")),
        ("bl2", 5, None),
        ("bl2", 6, b"BENCHLAB".ljust(32, b"\0")),
        ("pmd-usb", 6, None),
        ("pmd2", 0, b"ElmorLabs PMD2\0"),
    ],
)
def test_welcome_is_pushed_by_those_that_do_so(product: str, firmware: int, welcome: bytes | None) -> None:
    pushed = machine(product, firmware, push_s=0.2).opened(10.0)
    assert pushed == ([Piece(10.2, welcome)] if welcome else [])
    assert machine(product, firmware, push_s=None).opened(10.0) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("firmware", "length"), [(5, 9), (6, 32)])
def test_welcome_grows_from_9_to_32_bytes(firmware: int, length: int) -> None:
    (piece,) = machine("bl2", firmware).receive(b"\x00", 1.0)
    assert piece.data == b"BENCHLAB".ljust(length, b"\0")


def test_latencies_are_drawn_apart_by_the_seed_and_have_the_median_and_percentile() -> None:
    def drawn(seed: int) -> list[float]:
        device = machine(latency=LogNormal(1.5, 4.0), seed=seed)
        return [device.receive(SENSORS, float(n))[0].due_s - n for n in range(4000)]

    once = drawn(1)
    assert once == drawn(1)
    assert once != drawn(2)
    assert len(set(once)) > 3900
    assert statistics.median(once) == pytest.approx(0.0015, rel=0.05)
    assert statistics.quantiles(once, n=100)[98] == pytest.approx(0.004, rel=0.15)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("short", LineFault("short", 1)),
        ("short:3", LineFault("short", 3)),
        ("late 0.5", LineFault("late", 0.5)),
        ("unplug inf", LineFault("unplug", float("inf"))),
        ("product:0x12", LineFault("product", 0x12)),
    ],
)
def test_fault_is_read_from_words(text: str, fault: LineFault) -> None:
    assert parse_fault(text) == fault
    assert parse_scheduled(f"{text}@2.5") == (2.5, fault)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shrt", "fault: found 'shrt', expected one of late, short, drop"),
        ("", "fault: found ''"),
        ("short:x", "short: found 'x', expected a number"),
        ("short:0", "short: found 0, expected 1 to 4096 bytes"),
        ("short:1.5", "short: found 1.5, expected 1 to 4096 bytes"),
        ("short 1 2", "fault: found 'short 1 2', expected NAME"),
        ("late:-1", "late: found -1, expected 0 to 60000 ms"),
        ("late:nan", "late: found nan"),
        ("product:256", "product: found 256, expected 0 to 255 id"),
    ],
)
def test_wrong_fault_is_refused_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_fault(text)


@pytest.mark.parametrize("text", ["short", "short@", "short@-1", "short@inf", "short@soon"])
def test_time_of_a_fault_is_checked(text: str) -> None:
    with pytest.raises(ValueError, match="found"):
        parse_scheduled(text)
