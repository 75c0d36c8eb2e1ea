"""Who is on a port: nothing but WELCOME is sent until a known meter has answered to it."""

from __future__ import annotations

from dataclasses import dataclass

from benchlab.boards.benchlab import (
    BOOT_LOADER_TEXT,
    LONG_WELCOME,
    PRODUCTS,
    READ_NAME,
    READ_SENSORS,
    READ_UID,
    READ_VENDOR_DATA,
    SHORT_WELCOME,
    VENDOR_ID,
    WELCOME_TEXT,
    Contract,
    contract_of,
)
from benchlab.boards.command import WELCOME, Command
from benchlab.boards.identity import is_simulated
from benchlab.boards.pmd import METERS, PMD2, PMD2_FIRMWARE, Meter
from benchlab.catalog.board import PMD_SOURCE, SOURCE
from benchlab.daemon import Absent
from benchlab.event import Scalar
from benchlabd.port import MS, Port

DRAIN_NS = 50 * MS
ATTEMPTS = 2
_UNKNOWN_SENSORS = Command(READ_SENSORS, 0)


class StrangerError(Absent):
    """No meter that this program knows is on the port; ``is_silent`` if nothing answered at all."""

    def __init__(self, reason: str, fix: str = "", is_silent: bool = False) -> None:
        super().__init__(reason, fix)
        self.is_silent = is_silent


@dataclass(frozen=True)
class Device:
    """A meter as it introduced itself.

    ``layout`` says what its readings look like, None where nobody has published that for its firmware. ``sensors`` and
    ``identify`` are the commands that read it and that ask who it is. ``uid`` is 24 hex digits, None where it has none.
    """

    source: str
    product: str
    product_id: int
    firmware: int
    uid: str | None
    name: str
    sensors: int
    identify: int
    layout: Contract | Meter | None

    @property
    def contract(self) -> str:
        """How far its firmware is known: "released", "draft" or "unknown"."""
        if self.layout is None:
            return "unknown"
        return "draft" if isinstance(self.layout, Contract) and self.layout.is_draft else "released"

    @property
    def vendor_data(self) -> bytes:
        """What it answers when it is asked who it is."""
        return bytes((VENDOR_ID, self.product_id, self.firmware))

    @property
    def is_simulated(self) -> bool:
        """Whether it says of itself that it is made up."""
        return is_simulated(self.uid, self.firmware)

    def identity(self, port: str) -> dict[str, Scalar]:
        """Return what the log is told of it."""
        named: dict[str, Scalar] = {"name": self.name} if self.name else {}
        facts: dict[str, Scalar] = {"product": self.product, "firmware": self.firmware, "contract": self.contract}
        return {**facts, **named, "port": port}


def handshake(port: Port, where: str) -> Device:
    """Find out who is on a port, and let its read-only commands be sent.

    Raises StrangerError for whom we do not know, and what the port raises. ``where`` is the port's path.
    Source: the maker's contracts and clients; the order of the steps matters, since numbers of commands differ.
    """
    port.distrust()
    port.drain(DRAIN_NS)
    answer = b""
    for _ in range(ATTEMPTS):
        answer = port.ask_openly(WELCOME).data
        if answer.startswith(WELCOME_TEXT) and (len(answer) == SHORT_WELCOME or len(answer) % LONG_WELCOME == 0):
            return _benchlab(port, where, SHORT_WELCOME if len(answer) == SHORT_WELCOME else LONG_WELCOME)
        for meter in METERS:
            if answer.startswith(meter.welcome):
                return _pmd(port, where, meter)
        if answer.startswith(BOOT_LOADER_TEXT):
            break
        port.drain()
    raise _stranger(where, answer)


def _benchlab(port: Port, where: str, greeting_size: int) -> Device:
    port.trust((READ_VENDOR_DATA, READ_UID, READ_NAME), WELCOME_TEXT, greeting_size)
    vendor_data = port.ask(READ_VENDOR_DATA.opcode).data
    product_id, firmware = _product(vendor_data, where)
    contract = contract_of(product_id, firmware)
    port.trust(contract.commands.values() if contract else [_UNKNOWN_SENSORS], WELCOME_TEXT, greeting_size)
    product = PRODUCTS.get(product_id)
    return Device(
        source=SOURCE,
        product=product.name if product else f"BENCHLAB product 0x{product_id:02x}",
        product_id=product_id,
        firmware=firmware,
        uid=port.ask(READ_UID.opcode).data.hex().upper(),
        name=_name(port),
        sensors=READ_SENSORS,
        identify=READ_VENDOR_DATA.opcode,
        layout=contract,
    )


def _name(port: Port) -> str:
    """Return the name that the board was given; a greeting in front of it may look just like one."""
    data = port.ask_openly(READ_NAME.opcode).data[-READ_NAME.reply_size :]
    return data.partition(b"\0")[0].decode("utf-8", "replace").strip()


def _pmd(port: Port, where: str, meter: Meter) -> Device:
    port.trust(meter.commands.values(), meter.welcome, len(meter.welcome))
    product_id, firmware = _product(port.ask(meter.id_command.opcode).data, where)
    if product_id != meter.product_id:
        reason = f"{where}: found product 0x{product_id:02x}, expected 0x{meter.product_id:02x} of a {meter.name}"
        raise StrangerError(reason)
    uid = port.ask(meter.uid_command.opcode).data.hex().upper() if meter.uid_command is not None else None
    is_known = meter is not PMD2 or firmware == PMD2_FIRMWARE
    if not is_known:
        port.trust([Command(meter.sensors_command.opcode, 0)], meter.welcome, len(meter.welcome))
    return Device(
        source=PMD_SOURCE,
        product=meter.name,
        product_id=product_id,
        firmware=firmware,
        uid=uid,
        name="",
        sensors=meter.sensors_command.opcode,
        identify=meter.id_command.opcode,
        layout=meter if is_known else None,
    )


def _product(vendor_data: bytes, where: str) -> tuple[int, int]:
    """Return product and firmware. Raises StrangerError for another vendor's."""
    vendor, product_id, firmware = vendor_data
    if vendor != VENDOR_ID:
        raise StrangerError(f"{where}: found vendor 0x{vendor:02x}, expected 0x{VENDOR_ID:02x} (ElmorLabs)")
    return product_id, firmware


def _stranger(where: str, answer: bytes) -> StrangerError:
    if not answer:
        reason = f"{where}: nothing answered to 00, and nothing else was sent"
        return StrangerError(reason, "check what is connected there; a PMD-USB may need --baud 460800", is_silent=True)
    if answer.startswith(BOOT_LOADER_TEXT):
        reason = f"{where}: a device in its boot loader (EEBL0), and nothing but 00 was sent to it"
        return StrangerError(reason, "unplug it and plug it in again")
    shown = answer[:32].decode("ascii", "backslashreplace").encode("unicode_escape").decode()
    reason = f"{where}: found a device that answers {shown!r}, expected a BENCHLAB, PMD-USB or PMD2"
    return StrangerError(f"{reason}; nothing but 00 was sent to it", "name the port of the meter with --device")
