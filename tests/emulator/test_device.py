"""The firmware that is played: every answer has its length, nothing wrong is answered, nothing forbidden obeyed."""

from __future__ import annotations

import pytest
from benchlab_pycore.core.contract import available, contract_for
from benchlab_pycore.core.structures import (
    CalibrationStruct,
    CalibrationStructBL2,
    DeviceConfigStruct,
    DeviceConfigStructBL2,
    FanConfigStruct,
    FaultConfigStruct,
    RGBConfigStruct,
)

from benchctl.emulator.device import Device, Status
from benchctl.emulator.products import BOARDS, METERS, UID, make
from benchlab.boards.benchlab import PRODUCTS
from benchlab.boards.identity import is_simulated

MAKES = [(name, firmware) for name, board in BOARDS.items() for firmware in board.firmware]
MAKES += [(name, 0) for name in METERS]
FRAME = b"frame"
STATUS = b"\x14"


def device(product: str = "bl2", firmware: int | None = None) -> Device:
    return Device(make(product, firmware))


def ask(asked: Device, *request: int) -> bytes:
    return asked.answer(bytes(request), lambda: FRAME)


def whole(asked: Device, opcode: int) -> bytes:
    """Return the answer to a whole request."""
    arguments = bytes(asked.make.commands[opcode].arguments)
    return asked.answer(bytes((opcode,)) + arguments, lambda: asked.make.encode({}))


@pytest.mark.parametrize(("product", "firmware"), MAKES)
def test_every_command_is_answered_with_as_many_bytes_as_promised(product: str, firmware: int) -> None:
    asked = device(product, firmware)
    for opcode, command in asked.make.commands.items():
        assert len(whole(asked, opcode)) == command.reply_size, hex(opcode)
    assert asked.violations == []
    assert asked.notes == []


@pytest.mark.parametrize(("product", "firmware"), MAKES)
def test_whatever_is_not_a_command_is_met_with_silence_and_changes_nothing(product: str, firmware: int) -> None:
    asked = device(product, firmware)
    before = {opcode: whole(asked, opcode) for opcode in asked.make.commands if opcode != STATUS[0]}
    others = set(range(256)) - set(asked.make.commands)
    for opcode in others:
        for length in (0, 1, 2, 4, 15, 63):
            assert ask(asked, opcode, *[1] * length) == b"", hex(opcode)
    assert {opcode: whole(asked, opcode) for opcode in before} == before
    assert len(asked.violations) == 6 * len(asked.make.forbidden)


@pytest.mark.parametrize(("product", "firmware"), [pair for pair in MAKES if pair[0] in BOARDS])
def test_all_that_a_contract_lets_write_or_reset_is_a_violation(product: str, firmware: int) -> None:
    product_id = BOARDS[product].product_id
    if (product_id, firmware) not in available():
        firmware += 1  # the first firmware has no contract: nothing is known that the next one has not
    commands = contract_for(product_id, firmware).raw["commands"]
    writing = {command["opcode"]: command["name"] for command in commands if command["response"] is None}
    assert writing
    asked = device(product, firmware)
    for opcode, name in writing.items():
        assert ask(asked, opcode, 0, 0, 0, 0) == b""
        assert asked.violations[-1].startswith(f"a monitoring program sent 0x{opcode:02x} {name};")
    assert len(asked.violations) == len(writing)


@pytest.mark.parametrize(
    "request_hex",
    ["0500", "05", "050009", "050300", "05000000", "07", "0702", "070000", "0900", "0907"],
)
def test_wrong_length_or_parameter_is_met_with_silence(request_hex: str) -> None:
    asked = device()
    assert asked.answer(bytes.fromhex(request_hex), lambda: FRAME) == b""
    assert asked.violations == []
    assert len(asked.notes) >= 1


def test_status_speaks_of_the_command_before_it_and_not_of_itself() -> None:
    asked = device()
    assert ask(asked, 0x14) == bytes((Status.OK,))
    for request, status in [
        ((0x05, 0), Status.BAD_LENGTH),
        ((0x05, 0, 9), Status.BAD_PARAMETER),
        ((0x42,), Status.UNKNOWN_OPCODE),
        ((0x02, 0, 0, 0, 0), Status.BUSY),
        ((0x0E,), Status.OK),
    ]:
        ask(asked, *request)
        assert ask(asked, 0x14) == bytes((status,))
        assert ask(asked, 0x14) == bytes((status,))


def test_old_firmware_has_no_status() -> None:
    assert ask(device("original", 4), 0x14) == b""


def test_second_request_in_a_packet_is_ignored_but_not_overlooked() -> None:
    asked = device()
    assert ask(asked, 0x01, 0x0E) == FRAME
    assert asked.violations == []
    assert ask(asked, 0x01, 0x02, 0, 0, 0, 0) == FRAME
    assert asked.violations == ["a monitoring program sent 0x02 ACTION; it was not obeyed"]


def test_boot_loader_answers_its_name_and_nothing_else() -> None:
    asked = device()
    asked.in_boot_loader = True
    assert ask(asked, 0x00) == b"EEBL0\0"
    assert ask(asked, 0x01) == b""
    assert asked.violations == []
    assert ask(asked, ord("e")) == b""
    assert len(asked.violations) == 1


def test_claims_change_who_it_says_it_is_and_nothing_else() -> None:
    asked = device("bl2", 7)
    asked.claims_product, asked.claims_firmware = 0x12, None
    assert ask(asked, 0x0E) == b"\xee\x12\x07"
    asked.claims_product, asked.claims_firmware = None, 99
    assert ask(asked, 0x0E) == b"\xee\x11\x63"
    assert len(asked.answer(b"\x01", lambda: asked.make.encode({}))) == 384


def test_numbers_of_commands_mean_what_the_product_says() -> None:
    assert ask(device("bl2"), 0x01) == FRAME
    assert ask(device("pmd2"), 0x01) == b"\xee\x15\x00"
    assert ask(device("pmd-usb", 6), 0x01) == b"\xee\x0a\x06"
    for product, opcode, answer in (("pmd2", 0x04, FRAME), ("pmd-usb", 0x03, FRAME)):
        assert ask(device(product), opcode) == answer
    calibrating = device("pmd2")
    assert ask(calibrating, 0x07) == b""
    assert calibrating.violations == ["a monitoring program sent 0x07 WRITE_CAL; it was not obeyed"]


@pytest.mark.parametrize("product", [*BOARDS, *METERS])
def test_made_up_device_says_so_unless_told_otherwise(product: str) -> None:
    made = make(product)
    asked = Device(made)
    uid_opcode = next((op for op, cmd in made.commands.items() if cmd.reply_size == 12), None)
    uid = ask(asked, uid_opcode).hex().upper() if uid_opcode is not None else None
    assert uid in (UID, None)
    assert is_simulated(uid, made.firmware)
    assert not is_simulated("0123456789ABCDEF01234567", made.firmware)
    assert not is_simulated(None, 6)


def test_structures_hold_what_the_maker_s_library_expects() -> None:
    asked = device("bl2", 7)
    fan = FanConfigStruct.from_buffer_copy(ask(asked, 0x05, 1, 3))
    assert (fan.FanMode, fan.FixedDuty, fan.MinDuty, fan.MaxDuty) == (1, 50, 20, 100)
    assert list(fan.Temp) == [300, 600]
    rgb = RGBConfigStruct.from_buffer_copy(ask(asked, 0x07, 0))
    assert (rgb.Red, rgb.Green, rgb.Blue) == (0, 114, 178)
    fault = FaultConfigStruct.from_buffer_copy(ask(asked, 0x0F))
    assert list(fault.ActionEnable)[2:] == [0, 0, 0, 0]  # nothing that would switch the computer off
    assert set(fault.MaxLimit) == {40, 90}
    assert list(fault.MinDuration) == [1] * 34
    config = DeviceConfigStructBL2.from_buffer_copy(ask(asked, 0x13))
    assert config.FriendlyName == b"BENCHLAB 2"
    assert config.FaultConfig.MaxLimit[33] == 40
    older = DeviceConfigStruct.from_buffer_copy(ask(device("original", 6), 0x13))
    assert older.FriendlyName == b"BENCHLAB"


@pytest.mark.parametrize(
    ("product", "layout"), [("original", CalibrationStruct), ("bl2", CalibrationStructBL2)], ids=["original", "bl2"]
)
def test_calibration_stands_where_the_maker_s_library_looks(product: str, layout: type[CalibrationStruct]) -> None:
    found = layout.from_buffer_copy(ask(device(product), 0x09))
    assert (found.Vin[0].Offset, found.Vin[0].GainOffset) == (-2, -9)
    assert [value.Offset for value in found.PowerReadingVoltage][:3] == [-4, -2, 0]
    assert [value.Offset for value in found.PowerReadingCurrent][:3] == [-16, -8, 0]
    assert set(found.TsB) == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evc2",), "product: found 'evc2', expected one of original, bl2, pmd-usb, pmd2"),
        (("original", 7), "firmware of a BENCHLAB: found 7, expected 1 to 6"),
        (("bl2", 2), "firmware of a BENCHLAB 2: found 2, expected 3 to 7"),
        (("pmd2", 256), "firmware of a PMD2: found 256, expected 0 to 255"),
        (("bl2", 7, "12"), "uid: found '12', expected 24 hexadecimal digits"),
        (("bl2", 7, "x" * 24), "uid: found"),
        (("pmd-usb", 6, "00" * 12), "uid: a PMD-USB has none, expected no --uid"),
        (("bl2", 7, None, "ä" * 16), "found a name of 32 bytes, expected at most 31"),
    ],
)
def test_what_there_cannot_be_is_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(*arguments)  # type: ignore[arg-type]


def test_every_product_of_the_library_can_be_emulated() -> None:
    assert {board.product_id for board in BOARDS.values()} == set(PRODUCTS)
