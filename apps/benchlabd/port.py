"""The one place that writes to a device: nothing but its read-only commands, and replies of the length they must have.

The protocol has no framing, no checksum and no acknowledgement: a reply is known by its length and by the silence
around it, and what goes wrong shows as bytes that lack or that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchlab.boards.command import WELCOME, Command, Forbidden
from benchlab.clock import Clock
from benchlabd.line import Line

MS = 1_000_000
DEADLINE_NS = 250 * MS
"""How long a whole reply may take."""
SILENCE_NS = 20 * MS
"""After this long without a byte, a reply of unknown length is over."""
QUIET_NS = 100 * MS
"""After this long without a byte, no tail of a late reply is to be expected."""
MOST_BYTES = 4096
_CHATTER_NS = 400 * MS


class OutOfStepError(Exception):
    """What came is not the reply to what was asked."""


class Exchange(NamedTuple):
    """A reply; when its request was about to be sent, and when its last byte had arrived."""

    data: bytes
    sent_ns: int
    received_ns: int

    @property
    def rtt_ns(self) -> int:
        """The whole round trip."""
        return self.received_ns - self.sent_ns


class Port:
    """A device on a line, one request at a time. All methods raise LineGoneError and OutOfStepError.

    Only WELCOME may be sent until ``trust`` says what the device understands. A greeting that a device sends unasked,
    some as late as 200 ms after the port was opened, is taken out from in front of a reply.
    """

    def __init__(self, line: Line, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._allowed = {WELCOME: Command(WELCOME, 0)}
        self._greeting = b""
        self._greeting_size = 0

    def trust(self, commands: Iterable[Command], greeting: bytes = b"", greeting_size: int = 0) -> None:
        """Let these read-only commands be sent besides WELCOME. ``greeting`` is how its greetings begin."""
        self._allowed |= {command.opcode: command for command in commands}
        self._greeting, self._greeting_size = greeting, greeting_size

    def distrust(self) -> None:
        """Send nothing but WELCOME again: who is there has to be found out anew."""
        self._allowed = {WELCOME: self._allowed[WELCOME]}
        self._greeting, self._greeting_size = b"", 0

    def ask(self, opcode: int, arguments: bytes = b"") -> Exchange:
        """Send a command and return its reply, which has exactly the length it must have."""
        command = self._command(opcode, arguments)
        self._expect_silence()
        sent_ns = self._send(command, arguments)
        data = b""
        while len(data) < command.reply_size or self._begins_greeting(data):
            if self._greeting and len(data) >= self._greeting_size and self._begins_greeting(data):
                data = data[self._greeting_size :]
                continue
            left_ns = sent_ns + DEADLINE_NS - self._clock()
            if left_ns <= 0:
                raise OutOfStepError(f"found {_bytes(len(data))} after {DEADLINE_NS // MS} ms, {_expected(command)}")
            data += self._line.read(MOST_BYTES, left_ns)
        received_ns = self._clock()
        if len(data) > command.reply_size:
            raise OutOfStepError(f"found {_bytes(len(data))}, {_expected(command)}")
        return Exchange(data, sent_ns, received_ns)

    def ask_openly(self, opcode: int) -> Exchange:
        """Send a command whose reply may have any length, and return what came until the line fell silent.

        Nothing at all, if nothing came.
        """
        command = self._command(opcode, b"")
        sent_ns = received_ns = self._send(command, b"")
        data, wait_ns = b"", DEADLINE_NS
        while wait_ns > 0 and len(data) < MOST_BYTES and (more := self._line.read(MOST_BYTES, wait_ns)):
            data += more
            received_ns = self._clock()
            wait_ns = min(SILENCE_NS, sent_ns + DEADLINE_NS - received_ns)
        return Exchange(data, sent_ns, received_ns)

    def drain(self, quiet_ns: int = QUIET_NS) -> bytes:
        """Throw away, and return, what comes until the line has been quiet for that long."""
        thrown = b""
        give_up_ns = self._clock() + quiet_ns + _CHATTER_NS
        while more := self._line.read(MOST_BYTES, quiet_ns):
            thrown = (thrown + more)[-MOST_BYTES:]
            if self._clock() > give_up_ns:
                raise OutOfStepError("the line does not fall silent")
        return thrown

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

    def _command(self, opcode: int, arguments: bytes) -> Command:
        """Return the command, if it may be sent. Raises Forbidden: that is a defect of this program."""
        command = self._allowed.get(opcode)
        if command is None or len(arguments) != command.arguments:
            raise Forbidden(f"{bytes((opcode,)).hex()} with {len(arguments)} arguments is not among what may be sent")
        return command

    def _send(self, command: Command, arguments: bytes) -> int:
        """Write a command and return the time just before."""
        sent_ns = self._clock()
        self._line.write(bytes((command.opcode,)) + arguments)
        return sent_ns

    def _expect_silence(self) -> None:
        """Make sure that no bytes wait that would be taken for the reply; a whole greeting is thrown away."""
        waiting = self._line.read(MOST_BYTES, 0)
        if waiting and not (len(waiting) == self._greeting_size and self._begins_greeting(waiting)):
            raise OutOfStepError(f"found {_bytes(len(waiting))} that nobody asked for")

    def _begins_greeting(self, data: bytes) -> bool:
        text = self._greeting
        return bool(data) and data[: len(text)] == text[: len(data)] != b""


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"


def _expected(command: Command) -> str:
    return f"expected {command.reply_size} in reply to {bytes((command.opcode,)).hex()}"
