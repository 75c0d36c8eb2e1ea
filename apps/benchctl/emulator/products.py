"""The products that can be emulated: what each answers, and what it must never be sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchctl.emulator import structs, wire
from benchctl.emulator.device import Make
from benchlab.boards import benchlab
from benchlab.boards.benchlab import BENCHLAB_2, FANS, ORIGINAL, Contract, Product
from benchlab.boards.identity import SIMULATED, SIMULATED_FIRMWARE
from benchlab.boards.pmd import PMD2, PMD2_FIRMWARE, PMD_USB, Meter

BOARDS = {"original": ORIGINAL, "bl2": BENCHLAB_2}
METERS = {"pmd-usb": PMD_USB, "pmd2": PMD2}
PRODUCTS = (*BOARDS, *METERS)

UID = (bytes.fromhex(SIMULATED) + b"-EMULATED").hex().upper()
NAME = "EMULATOR"
UID_BYTES = 12

BOARD_FORBIDDEN = {
    0x02: "ACTION",
    0x04: "WRITE_NAME",
    0x06: "WRITE_FAN_PROFILE",
    0x08: "WRITE_RGB",
    0x0A: "WRITE_CALIBRATION",
    0x0B: "LOAD_CALIBRATION",
    0x0C: "STORE_CALIBRATION",
    0x10: "WRITE_FAULT",
    0x11: "LOAD_CONFIG",
    0x12: "STORE_CONFIG",
    0x16: "FACTORY_CAL_UNLOCK",
    0xF0: "RESET",
    0xF1: "BOOTLOADER",
    0xFF: "NOP",
}
PMD_USB_FORBIDDEN = {
    0x05: "WRITE_CONFIG",
    0x07: "CONT_TX",
    0x08: "WRITE_CONFIG_UART",
    0xF0: "RESET",
    0xF1: "BOOTLOADER",
}
PMD2_FORBIDDEN = {
    0x05: "WRITE_CONT_TX",
    0x07: "WRITE_CAL",
    0x08: "LOAD_CAL",
    0x09: "STORE_CAL",
    0xF0: "RESET",
    0xF1: "BOOTLOADER",
    0xF2: "NVM",
    0xFF: "NOP",
}


def make(product: str, firmware: int | None = None, uid: str | None = None, name: str = NAME) -> Make:
    """Return what a product is; without ``firmware`` the newest that is known.

    Raises ValueError for a product, firmware, id or name that there cannot be.
    """
    if product in BOARDS:
        return _board(BOARDS[product], firmware, _uid(UID if uid is None else uid), name)
    if product not in METERS:
        raise ValueError(f"product: found {product!r}, expected one of {', '.join(PRODUCTS)}")
    meter = METERS[product]
    if meter.uid_command is None and uid is not None:
        raise ValueError(f"uid: a {meter.name} has none, expected no --uid")
    return _meter(meter, firmware, _uid(UID if uid is None else uid))


def _board(product: Product, firmware: int | None, uid: bytes, name: str) -> Make:
    known = product.firmware
    contract = benchlab.contract_of(product.product_id, known[-1] if firmware is None else firmware)
    if contract is None:
        raise ValueError(f"firmware of a {product.name}: found {firmware}, expected {known[0]} to {known[-1]}")
    commands = contract.commands
    return Make(
        title=f"{product.name} firmware {contract.firmware}",
        product_id=product.product_id,
        firmware=contract.firmware,
        pushes_welcome=contract.pushes_welcome,
        welcome=contract.welcome,
        commands=commands,
        sensors=benchlab.READ_SENSORS,
        identity=benchlab.READ_VENDOR_DATA.opcode,
        replies=_board_replies(contract, uid, structs.name_bytes(name)),
        forbidden=BOARD_FORBIDDEN,
        keys=wire.board_keys(contract),
        encode=partial(wire.encode_board, contract),
        counted=frozenset(
            {benchlab.READ_FAN_PROFILE.opcode, benchlab.READ_RGB.opcode, benchlab.READ_CALIBRATION},
        ),
        status=benchlab.STATUS.opcode if benchlab.STATUS.opcode in commands else None,
    )


_Replies = dict[int, Callable[[bytes], bytes | None]]


def _board_replies(contract: Contract, uid: bytes, name: bytes) -> _Replies:
    product = contract.product
    return {
        benchlab.READ_NAME.opcode: lambda _: name,
        benchlab.READ_FAN_PROFILE.opcode: _fan_profile,
        benchlab.READ_RGB.opcode: _rgb_profile,
        benchlab.READ_CALIBRATION: lambda _: structs.calibration(product),
        benchlab.READ_UID.opcode: lambda _: uid,
        benchlab.READ_VENDOR_DATA.opcode: lambda _: contract.vendor_data,
        benchlab.READ_FAULT.opcode: lambda _: structs.fault_config(),
        benchlab.READ_DEFAULT_CONFIG: lambda _: structs.device_config(product),
    }


def _fan_profile(arguments: bytes) -> bytes | None:
    profile, fan = arguments
    return structs.fan_config(profile, fan) if profile < structs.FAN_PROFILES and fan < FANS else None


def _rgb_profile(arguments: bytes) -> bytes | None:
    (profile,) = arguments
    return structs.rgb_config(profile) if profile < structs.RGB_PROFILES else None


def _meter(meter: Meter, firmware: int | None, uid: bytes) -> Make:
    is_usb = meter is PMD_USB
    shown = (SIMULATED_FIRMWARE if is_usb else PMD2_FIRMWARE) if firmware is None else firmware
    if not 0 <= shown <= 255:
        raise ValueError(f"firmware of a {meter.name}: found {shown}, expected 0 to 255")
    replies: _Replies = {meter.id_command.opcode: lambda _: meter.vendor_data(shown)}
    if meter.uid_command is not None:
        replies[meter.uid_command.opcode] = lambda _: uid
    return Make(
        title=f"{meter.name} firmware {shown}",
        product_id=meter.product_id,
        firmware=shown,
        pushes_welcome=meter.pushes_welcome,
        welcome=meter.welcome,
        commands=meter.commands,
        sensors=meter.sensors_command.opcode,
        identity=meter.id_command.opcode,
        replies=replies,
        forbidden=PMD_USB_FORBIDDEN if is_usb else PMD2_FORBIDDEN,
        keys=wire.meter_keys(meter),
        encode=partial(wire.encode_pmd_usb if is_usb else wire.encode_pmd_2, meter),
    )


def _uid(text: str) -> bytes:
    try:
        uid = bytes.fromhex(text)
    except ValueError:
        uid = b""
    if len(uid) != UID_BYTES:
        raise ValueError(f"uid: found {text!r}, expected {2 * UID_BYTES} hexadecimal digits")
    return uid
