"""The terminal while ``benchctl top`` has it: the other screen, single keys, and all of it given back at the end."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

from benchctl.stopping import StopRequests

ESCAPE_S = 0.05
"""How long the rest of a key's sequence may take after its escape character."""

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_SEQUENCES = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b[H": "home",
    b"\x1b[1~": "home",
    b"\x1bOH": "home",
    b"\x1b[F": "end",
    b"\x1b[4~": "end",
    b"\x1bOF": "end",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
}


class Terminal:
    """Takes the terminal over while the context is open. Without a keyboard there are no keys, and all else works."""

    def __init__(self, out: TextIO = sys.stdout, keyboard: int = 0) -> None:
        self._out = out
        self._keyboard: int | None = keyboard if os.isatty(keyboard) else None
        self._former: list[Any] | None = None

    def __enter__(self) -> Terminal:
        """Switch to the other screen and to single keys."""
        if self._keyboard is not None:
            self._former = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard)
            mode = termios.tcgetattr(self._keyboard)
            mode[6][termios.VSUSP] = b"\0"  # a stopped program would leave the terminal as it is now
            termios.tcsetattr(self._keyboard, termios.TCSADRAIN, mode)
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back as it was; one that is gone cannot be."""
        try:
            self._write(_LEAVE)
        except OSError:
            pass
        if self._former is not None and self._keyboard is not None:
            try:
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._former)
            except termios.error:
                pass

    def size(self) -> tuple[int, int]:
        """Return columns and rows."""
        try:
            found = os.get_terminal_size(self._out.fileno())
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24

    def paint(self, lines: list[str]) -> None:
        """Replace what is on the screen, without a moment in which it is empty."""
        self._write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def keys(self, seconds: float, stop: StopRequests) -> list[str]:
        """Wait for keys, at most ``seconds``; return none then, or when a stop signal came."""
        sources = [stop.fileno(), *([] if self._keyboard is None else [self._keyboard])]
        ready, _, _ = select.select(sources, [], [], max(0.0, seconds))
        if self._keyboard is None or self._keyboard not in ready:
            return []
        data = os.read(self._keyboard, 1024)
        if not data:
            self._keyboard = None  # nobody types any more
            return []
        if data.endswith(b"\x1b") and select.select([self._keyboard], [], [], ESCAPE_S)[0]:
            data += os.read(self._keyboard, 1024)
        return list(keys_of(data))


def keys_of(data: bytes) -> Iterator[str]:
    """Yield the keys that a terminal sent: names of keys, else characters; sequences that are not known are skipped."""
    while data:
        known = next((s for s in sorted(_SEQUENCES, key=len, reverse=True) if data.startswith(s)), b"")
        if known and not (known == b"\x1b" and data[1:2] in (b"[", b"O")):
            yield _SEQUENCES[known]
            data = data[len(known) :]
        elif data.startswith(b"\x1b"):
            data = data[_sequence_length(data) :]
        else:
            text = data.partition(b"\x1b")[0]
            character = text.decode("utf-8", "replace")[0]
            yield character
            data = data[max(1, len(character.encode())) if character != "\ufffd" else 1 :]


def _sequence_length(data: bytes) -> int:
    """Return how long a sequence of ECMA-48 is: up to its first byte from ``@`` to ``~``."""
    ends = (i + 1 for i, byte in enumerate(data) if i > 1 and 0x40 <= byte <= 0x7E)
    return next(ends, len(data))
