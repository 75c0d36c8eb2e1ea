"""Running programs and what they used: wall time, processor time and memory, as the kernel counted them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
MIB = 1 << 20
CLOCK_TICKS_S: int = os.sysconf("SC_CLK_TCK")


def program_env() -> dict[str, str]:
    """Return an environment in which programs run from this tree, with no settings of this host."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCHLAB_", "CX_"))}
    return {**kept, "PYTHONPATH": f"{REPOSITORY / 'apps'}:{REPOSITORY / 'libs'}"}


@dataclass(frozen=True)
class Used:
    """What a program used from start to end; ``peak_mib`` is its largest resident set."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(argv: Sequence[str]) -> Used:
    """Run a program to its end. Exits with what it said where it fails.

    Its peak cannot show as less than this process's own size, which the kernel counts in: so keep this one small.
    """
    began_s = time.perf_counter()
    process = subprocess.Popen(argv, env=program_env(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}: {said.decode(errors='replace').strip()}")
    return Used(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / MIB)


@dataclass(frozen=True)
class Spread:
    """Least, middle and greatest of several measurements."""

    least: float
    middle: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(min(values), median(values), max(values))

    def text(self, digits: int = 2) -> str:
        return f"{self.middle:.{digits}f} ({self.least:.{digits}f} to {self.greatest:.{digits}f})"


@dataclass(frozen=True)
class Load:
    """What a running program used over a while: percent of one core, resident set and its peak."""

    cpu_pct: float
    rss_mib: float
    peak_mib: float


class Watched:
    """A running process seen through /proc."""

    def __init__(self, pid: int) -> None:
        self._proc = Path("/proc") / str(pid)
        self._began_s, self._cpu_s = time.monotonic(), self._used_s()

    def load(self) -> Load:
        """Return what was used since this object was made."""
        share = (self._used_s() - self._cpu_s) / (time.monotonic() - self._began_s)
        return Load(100 * share, self._status_mib("VmRSS"), self._status_mib("VmHWM"))

    def _used_s(self) -> float:
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_S  # utime and stime, counted behind the name

    def _status_mib(self, name: str) -> float:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 / MIB
        raise ProcessLookupError(f"{self._proc} has no {name}: the program has ended")


def machine() -> dict[str, Any]:
    """Return what the figures were measured on; absolute ones mean little without it."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release().partition("-")[0],
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def python(*args: str | Path) -> list[str]:
    """Return the command line of a Python program."""
    return [sys.executable, *(str(arg) for arg in args)]
