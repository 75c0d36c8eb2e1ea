"""Asking the firmware of a Raspberry Pi through vcgencmd: a list of words in, text out, nothing for long."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from benchlab.daemon.source import Absent, Transient

TIMEOUT_S = 2.0
_MISSING_FIX = "sudo apt install raspi-utils-core (older: libraspberrypi-bin)"
_DENIED_FIX = "join the group video; in a container pass /dev/vcio"
_UNKNOWN_FIX = {"pmic_read_adc": "only a Raspberry Pi 5, 500 or CM5 knows this"}


def ask(command: Sequence[str], *words: str) -> str:
    """Return what vcgencmd prints. Raises Absent: it is not there, may not, or does not know; Transient: no answer."""
    asked = " ".join([command[0], *words])
    try:
        done = subprocess.run(
            [*command, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Transient(f"{asked}: no answer within {TIMEOUT_S:g} s") from None
    except OSError as error:
        raise Absent(f"{command[0]}: {error.strerror}", _MISSING_FIX) from None
    text = done.stdout.decode("utf-8", "backslashreplace").strip()
    if "error=" in text:  # some releases say so with exit code 0
        raise Absent(f"{asked}: {text[:120]}", _UNKNOWN_FIX.get(words[0], ""))
    if done.returncode:
        raise Absent(f"{asked}: {text[:120] or f'exit code {done.returncode}'}", _DENIED_FIX)
    return text
