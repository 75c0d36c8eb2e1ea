"""What only the firmware of a Raspberry Pi knows: clocks, voltages, how memory is split, what its power chip measures.

It is asked through /dev/vcio, which costs no process. Where that is not there, vcgencmd is asked, one question a
sample by turns: then a value may be as many samples old as there are questions. Sources: Raspberry Pi's documentation
of vcgencmd; vcgencmd.c of raspi-utils for the layout of the property GET_GENCMD_RESULT.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from benchlab.daemon import Absent, Transient
from benchlab.host.vcgencmd import ask
from pimon.snapshot import Clock, Voltage

RETRY_S = 60.0
"""A question without an answer is asked again after this time; after one that took too long, so are all of them."""

VCIO = "dev/vcio"
PMIC = "pmic_read_adc"
GET_THROTTLED = "get_throttled"

_CLOCKS = ("arm", "core", "v3d", "sdram")
_VOLTAGES = ("core", "sdram_c", "sdram_i", "sdram_p")
_MIB = 1 << 20
_NO_VCIO_FIX = "join the group video; in a container pass /dev/vcio"

_MBOX_PROPERTY = 0xC0086464 if struct.calcsize("P") == 8 else 0xC0046464
_GET_GENCMD_RESULT = 0x00030080
_MAX_TEXT = 1024
_HEAD = struct.Struct("=6I")
_SIZE = _HEAD.size + _MAX_TEXT + 4

Ioctl = Callable[[int, int, bytearray, bool], int]


class Mailbox:
    """The firmware behind /dev/vcio, opened at the first question. ``ioctl`` is that of fcntl."""

    def __init__(self, path: Path, ioctl: Ioctl = fcntl.ioctl) -> None:
        self._path = path
        self._ioctl = ioctl
        self._fd: int | None = None

    def ask(self, question: str) -> str:
        """Return the answer as vcgencmd would print it. Raises Absent: no access, not known; Transient: no answer."""
        buffer = bytearray(_SIZE)
        _HEAD.pack_into(buffer, 0, _SIZE, 0, _GET_GENCMD_RESULT, _MAX_TEXT, 0, 0)
        words = question.encode("ascii")
        buffer[_HEAD.size : _HEAD.size + len(words)] = words
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise Absent(f"{self._path}: {error.strerror}", _NO_VCIO_FIX) from None
        try:
            self._ioctl(self._fd, _MBOX_PROPERTY, buffer, True)
        except OSError as error:
            raise Transient(f"{self._path}: {question}: {error.strerror}") from None
        text = bytes(buffer[_HEAD.size : _HEAD.size + _MAX_TEXT]).partition(b"\0")[0].decode("utf-8", "replace").strip()
        if _HEAD.unpack_from(buffer)[5] or "error=" in text:
            raise Absent(f"{self._path}: {question}: {text[:120] or 'an error'}")
        return text


class Firmware:
    """Answers of the firmware, by question. ``answers`` and ``why`` are those of the last ``update``.

    ``ask`` answers one question; if it is ``is_dear``, an update asks one question only, and ``always`` beside it.
    What is asked ``first`` never changes and is not asked again.
    """

    def __init__(
        self,
        ask: Callable[[str], str],
        questions: Sequence[str],
        always: Sequence[str] = (),
        first: Sequence[str] = (),
        is_dear: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.answers: dict[str, str] = {}
        self.why: dict[str, str] = {}
        self._ask = ask
        self._questions = list(questions)
        self._always = list(always)
        self._first = list(first)
        self._is_dear = is_dear
        self._clock = clock
        self._not_before: dict[str, float] = {}

    def update(self) -> None:
        """Ask what is due. Never raises."""
        for question in self._always + self._due():
            if self._may(question):
                self._update(question)

    def _may(self, question: str) -> bool:
        return self._clock() >= self._not_before.get(question, 0.0)

    def _due(self) -> list[str]:
        first = [question for question in self._first if question not in self.answers and self._may(question)]
        if not self._is_dear:
            return first + self._questions
        if first:
            return first[:1]
        self._questions = self._questions[1:] + self._questions[:1]
        return self._questions[-1:]

    def once(self, question: str) -> str | None:
        """Return the answer to what never changes, None if there is none."""
        if question not in self.answers and self._may(question):
            self._update(question)
        return self.answers.get(question)

    def _update(self, question: str) -> None:
        try:
            self.answers[question] = self._ask(question)
            self.why.pop(question, None)
        except (Absent, Transient) as error:
            self.answers.pop(question, None)
            fix = f" ({error.fix})" if isinstance(error, Absent) and error.fix else ""
            self.why[question] = f"{error}{fix}"
            silent = (
                [question] if isinstance(error, Absent) else [*self._always, *self._first, *self._questions, question]
            )
            self._not_before.update(dict.fromkeys(silent, self._clock() + RETRY_S))


def firmware_of(root: Path, model: str, vcgencmd: Sequence[str] | None, is_throttling_told: bool) -> Firmware | None:
    """Return the firmware of the board of this model, None where there is none to ask.

    That of a recorded machine can only be asked if the words of a ``vcgencmd`` are given.
    """
    if "Raspberry Pi" not in model or (root != Path("/") and vcgencmd is None):
        return None
    has_pmic = any(word in model for word in ("Pi 5", "Pi 500", "Compute Module 5"))
    questions = [f"measure_clock {clock}" for clock in _CLOCKS]
    questions += [f"measure_volts {rail}" for rail in (_VOLTAGES[:1] if has_pmic else _VOLTAGES)]
    if not is_throttling_told:
        questions.append(GET_THROTTLED)
    always = [PMIC] if has_pmic else []
    first = [f"get_mem {part}" for part in ("gpu", "arm")]
    if vcgencmd is None and (root / VCIO).exists():
        return Firmware(Mailbox(root / VCIO).ask, questions, always, first)
    return Firmware(partial(_spawn, vcgencmd or ("vcgencmd",)), questions, always, first, is_dear=True)


def _spawn(command: Sequence[str], question: str) -> str:
    return ask(command, *question.split())


def clocks(answers: dict[str, str]) -> tuple[Clock, ...]:
    """Return the clocks that run; the firmware says 0 of one that it does not know."""
    found = ((name, _number(r"frequency\(\d+\)=(\d+)", answers.get(f"measure_clock {name}"))) for name in _CLOCKS)
    return tuple(Clock(name, int(hertz)) for name, hertz in found if hertz)


def voltages(answers: dict[str, str]) -> tuple[Voltage, ...]:
    """Return the voltages that are asked for."""
    found = ((rail, _number(r"volt=(\d+\.\d+)V", answers.get(f"measure_volts {rail}"))) for rail in _VOLTAGES)
    return tuple(Voltage(rail, volts) for rail, volts in found if volts is not None)


def memory_b(answers: dict[str, str], part: str) -> int | None:
    """Return the memory of a part, ``gpu`` or ``arm``, in bytes."""
    mebibytes = _number(rf"{part}=(\d+)M", answers.get(f"get_mem {part}"))
    return None if mebibytes is None else int(mebibytes) * _MIB


def throttled(answers: dict[str, str]) -> int | None:
    """Return the bits of get_throttled, None if they were not told."""
    found = re.search(r"throttled=(?:0x)?([0-9a-fA-F]+)", answers.get(GET_THROTTLED, ""))
    return int(found[1], 16) if found else None


def _number(pattern: str, text: str | None) -> float | None:
    found = re.search(pattern, text or "", re.ASCII)
    return float(found[1]) if found else None
