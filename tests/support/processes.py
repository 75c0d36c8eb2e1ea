"""What the tests of running programs ask of the machine."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.Popen[bytes]"]  # the fixtures start and run
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def need_psutil_of_debian() -> None:
    """Skip the test where Debian's Python has no psutil; in CI that is a failure."""
    if subprocess.run(["/usr/bin/python3", "-I", "-c", "import psutil"], capture_output=True).returncode == 0:
        return
    message = "python3-psutil is not there; to run this test: sudo apt-get install -y python3-psutil"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def survivors(data_root: Path) -> list[str]:
    """Return the command lines of the processes that still work on a data root."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(data_root).encode() in words and process.name != str(os.getpid()):
            found.append(b" ".join(words).decode())
    return found


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def sessions(data_root: Path) -> list[str]:
    return sorted(path.name for path in (data_root / "sessions").glob("*") if not path.is_symlink())


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()
