"""One device as its firmware would behave: a request in, an answer out, and what it never does though asked to.

A request is what one USB packet holds, so what one read of the pty returns. Bytes behind a whole request are ignored,
as the firmware ignores them, or make it a wrong one where the firmware counts. A request in two packets is two wrong
ones. Whatever is wrong is answered by silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from benchlab.boards.benchlab import BOOT_LOADER_TEXT
from benchlab.boards.command import WELCOME, Command

BOOT_LOADER = {ord(letter): "of the boot loader" for letter in "#aepvr"}


class Status(IntEnum):
    """What became of a command, as the command STATUS tells it."""

    OK = 0
    BAD_LENGTH = 1
    BAD_PARAMETER = 2
    UNKNOWN_OPCODE = 3
    BUSY = 4


@dataclass(frozen=True)
class Make:
    """What one product with one firmware is.

    ``replies`` gives for a command's number and arguments the answer, None for arguments that are out of range.
    ``counted`` are the commands whose length the firmware checks; ``forbidden`` those that write, switch or reset.
    """

    title: str
    product_id: int
    firmware: int
    pushes_welcome: bool
    welcome: bytes
    commands: Mapping[int, Command]
    sensors: int
    identity: int
    replies: Mapping[int, Callable[[bytes], bytes | None]]
    forbidden: Mapping[int, str]
    keys: frozenset[str]
    encode: Callable[[Mapping[str, object]], bytes]
    counted: frozenset[int] = frozenset()
    status: int | None = None


@dataclass
class Device:
    """A device and what it remembers: what became of the last command, and who it says it is."""

    make: Make
    claims_product: int | None = None
    claims_firmware: int | None = None
    in_boot_loader: bool = False
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _status: Status = Status.OK

    def answer(self, request: bytes, frame: Callable[[], bytes]) -> bytes:
        """Return the answer to a request, empty for silence; ``frame`` gives what the sensors read."""
        opcode, arguments = request[0], request[1:]
        if self.in_boot_loader:
            return self._answer_of_boot_loader(opcode)
        if opcode == self.make.status:
            return bytes((self._status,))
        command = self.make.commands.get(opcode)
        if command is None:
            self._status = self._refuse(opcode)
            return b""
        self._look_behind(opcode, arguments[command.arguments :])
        reply = self._reply(command, arguments, frame)
        if isinstance(reply, Status):
            self._status = reply
            self.notes.append(f"0x{opcode:02x}: {reply.name} in {request.hex(' ')}: no answer")
            return b""
        self._status = Status.OK
        return reply

    def _reply(self, command: Command, arguments: bytes, frame: Callable[[], bytes]) -> bytes | Status:
        count, opcode = command.arguments, command.opcode
        if len(arguments) < count or (opcode in self.make.counted and len(arguments) > count):
            return Status.BAD_LENGTH
        if opcode == WELCOME:
            return self.make.welcome
        if opcode == self.make.sensors:
            return frame()
        reply = self.make.replies[opcode](arguments)
        if reply is None:
            return Status.BAD_PARAMETER
        return self._claimed(reply) if opcode == self.make.identity else reply

    def _claimed(self, vendor_data: bytes) -> bytes:
        """Return who the device says it is, where that is not who it is."""
        vendor, product, firmware = vendor_data
        claims = ((self.claims_product, product), (self.claims_firmware, firmware))
        return bytes((vendor, *(true if claim is None else claim for claim, true in claims)))

    def _refuse(self, opcode: int) -> Status:
        name = self.make.forbidden.get(opcode)
        if name is None:
            self.notes.append(f"unknown command 0x{opcode:02x}: no answer")
            return Status.UNKNOWN_OPCODE
        self._violated(opcode, name)
        return Status.BUSY

    def _look_behind(self, opcode: int, rest: bytes) -> None:
        """Tell of bytes behind a request, which a host that waits for its answer never sends."""
        if rest:
            self.notes.append(f"{len(rest)} bytes behind 0x{opcode:02x}: {rest[:16].hex(' ')}")
        if rest[:1] and rest[0] in self.make.forbidden:
            self._violated(rest[0], self.make.forbidden[rest[0]])

    def _answer_of_boot_loader(self, opcode: int) -> bytes:
        if opcode == WELCOME:
            return BOOT_LOADER_TEXT + b"\0"
        if opcode in BOOT_LOADER:
            self._violated(opcode, BOOT_LOADER[opcode])
        return b""

    def _violated(self, opcode: int, name: str) -> None:
        self.violations.append(f"a monitoring program sent 0x{opcode:02x} {name}; it was not obeyed")
