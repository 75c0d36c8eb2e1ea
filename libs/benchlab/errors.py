"""Exit codes, and the one exception that carries one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a program of this product returns to its caller."""

    OK = 0
    FINDING = 1
    USAGE = 2
    CONFIG = 3
    NO_DEVICE = 4
    IO = 5
    INTERRUPTED = 130


class Fault(Exception):
    """A failure that ends a program with one clear line and an exit code.

    ``message`` names what was found, what was expected and what mends it.
    """

    def __init__(self, message: str, code: Exit = Exit.IO) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
