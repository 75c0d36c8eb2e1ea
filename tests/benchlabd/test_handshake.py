"""Who is on the port: every product and firmware, and everybody who is none of them."""

from __future__ import annotations

import pytest

from benchctl.emulator.emulator import Emulator
from benchctl.emulator.products import make
from benchlab.boards.benchlab import PRODUCTS
from benchlab.daemon import Absent
from benchlab.daemon.source import identity_of
from benchlabd.handshake import Device, StrangerError, handshake
from benchlabd.port import Port
from support.meters import MS, UID_A, FakeLine, Time, source, take, why_not

NAMES = {0x10: "original", 0x11: "bl2"}
KNOWN = [(NAMES[product.product_id], firmware) for product in PRODUCTS.values() for firmware in product.firmware]
WHERE = "/dev/ttyACM7"


def met(line: FakeLine, time: Time) -> Device:
    return handshake(Port(line, time), WHERE)


def stranger(*answers: bytes) -> tuple[StrangerError, FakeLine]:
    """Return what is said of a device that answers so, and what it was sent."""
    time, left = Time(), list(answers)
    line = FakeLine(time, lambda request: left.pop(0) if left else b"")
    with pytest.raises(StrangerError) as found:
        met(line, time)
    return found.value, line


@pytest.mark.parametrize(("product", "firmware"), KNOWN)
def test_every_product_and_firmware_is_known_by_its_contract(product: str, firmware: int) -> None:
    with Emulator(product, firmware, uid=UID_A, name="bench 3") as emulator:
        board = source(emulator.path)
        reading = take(board)
    assert reading.dev == getattr(board, "dev", None) == UID_A
    identity = identity_of(board)
    assert (identity["firmware"], identity["name"], identity["port"]) == (firmware, "bench 3", emulator.path)
    assert identity["contract"] in ("released", "draft")
    assert "p_sys" in reading.kv
    assert not reading.sim
    assert emulator.violations == []


@pytest.mark.parametrize("product", ["original", "bl2", "pmd2"])
@pytest.mark.parametrize("push_s", [None, 0.0, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2])
def test_greeting_that_comes_when_it_likes_is_never_taken_for_a_reply(product: str, push_s: float | None) -> None:
    with Emulator(product, uid=UID_A, name="BENCHLAB", push_s=push_s) as emulator:
        board = source(emulator.path)
        readings = [take(board) for _ in range(12)]
    assert all(11 < float(str(reading.kv["v_sys"])) < 13 for reading in readings)
    assert {reading.dev for reading in readings} == {UID_A}
    assert identity_of(board).get("name", "BENCHLAB") == "BENCHLAB"


@pytest.mark.parametrize("product", ["original", "bl2", "pmd-usb", "pmd2"])
def test_made_up_device_marks_what_is_read_of_it(product: str) -> None:
    with Emulator(product) as emulator:
        assert take(source(emulator.path)).sim


@pytest.mark.parametrize(("product", "key"), [("pmd-usb", "cpu_w"), ("pmd2", "p_sys")])
def test_small_meters_are_a_source_of_their_own(product: str, key: str) -> None:
    with Emulator(product) as emulator:
        meter = source(emulator.path)
        reading = take(meter)
    assert meter.name == "pmd.usb"
    assert key in reading.kv
    assert emulator.violations == []


def test_meter_without_an_id_is_called_by_its_port() -> None:
    with Emulator("pmd-usb") as emulator:
        reading = take(source(emulator.path))
    assert reading.dev == f"pmd-usb:{emulator.path.removeprefix('/dev/')}"


@pytest.mark.parametrize(("fault", "product"), [("firmware", "BENCHLAB"), ("product", "BENCHLAB product 0x12")])
def test_unknown_firmware_is_kept_as_bytes_and_flagged(fault: str, product: str) -> None:
    with Emulator("original", uid=UID_A, latency=None) as emulator:
        emulator.fault(fault)
        board = source(emulator.path)
        reading = take(board)
    assert set(reading.kv) == {"raw_hex"}
    assert len(bytes.fromhex(str(reading.kv["raw_hex"]))) == 216
    identity = identity_of(board)
    assert (identity["product"], identity["contract"]) == (product, "unknown")
    assert emulator.violations == []


def test_bytes_of_an_unknown_firmware_are_stamped_when_the_last_one_came() -> None:
    time = Time()
    line = FakeLine(time, made=make("pmd2", 7, UID_A))
    port = Port(line, time)
    device = handshake(port, WHERE)
    assert (device.product, device.contract) == ("PMD2", "unknown")
    assert port.ask_openly(device.sensors).rtt_ns == 2 * MS


def test_silent_port_is_told_apart_from_a_stranger() -> None:
    error, line = stranger()
    assert error.is_silent
    assert error.reason == f"{WHERE}: nothing answered to 00, and nothing else was sent"
    assert set(line.written) == {b"\0"}


def test_device_that_is_slow_to_wake_is_asked_twice() -> None:
    time = Time()
    waking = [b""]
    board = FakeLine(time, lambda request: waking.pop() if waking else None)
    assert met(board, time).uid == UID_A


@pytest.mark.parametrize("answer", [b"OK\r\n", b"BENCH", b"BENCHLABORATORY", b"ElmorLabs EVC2\0", bytes(range(256))])
def test_stranger_is_quoted_and_left_alone(answer: bytes) -> None:
    error, line = stranger(answer, answer)
    assert not error.is_silent
    assert "expected a BENCHLAB, PMD-USB or PMD2; nothing but 00 was sent to it" in error.reason
    assert "\n" not in error.reason and "\0" not in error.reason
    assert set(line.written) == {b"\0"}


def test_boot_loader_is_named_and_sent_nothing_more() -> None:
    error, line = stranger(b"EEBL0\0")
    assert "in its boot loader" in error.reason
    assert line.written == [b"\0"]


def test_boot_loader_on_a_pty_is_left_before_it_erases_anything() -> None:
    with Emulator("original") as emulator:
        emulator.fault("bootloader")
        error = why_not(source(emulator.path))
    assert "in its boot loader" in str(error)
    assert emulator.violations == []


def test_vendor_that_is_another_one_is_a_stranger() -> None:
    error, line = stranger(b"BENCHLAB\0", b"\x42\x10\x06")
    assert error.reason == f"{WHERE}: found vendor 0x42, expected 0xee (ElmorLabs)"
    assert line.written == [b"\0", b"\x0e"]


def test_greeting_cut_by_the_opening_is_asked_for_again() -> None:
    time = Time()
    board = FakeLine(time)
    board.push(b"LAB\0", 55 * MS)  # behind the drained silence, in front of the welcome
    assert met(board, time).uid == UID_A


def test_name_that_is_no_text_is_still_a_name() -> None:
    time = Time()
    device = make("original", 6, UID_A)
    plain = FakeLine(time, made=device)
    answers = {b"\3": b"b\xf6nch\0garbage".ljust(32, b"\0"), b"\0": device.welcome}
    answers |= {b"\x0e": b"\xee\x10\x06", b"\x0d": bytes.fromhex(UID_A)}
    line = FakeLine(time, lambda request: answers[request])
    assert met(line, time).name == "b\ufffdnch"
    assert met(plain, time).name == "EMULATOR"


def test_stranger_reaches_the_operator_as_absent() -> None:
    assert issubclass(StrangerError, Absent)
