"""Child processes: started with a log of their own, watched, stopped in order. Used by record and demo."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from benchlab.errors import Exit, Fault

MODULES = {
    "telemetryd": "telemetryd",
    "benchlabd": "benchlabd",
    "pipeline_probes": "pipeline_probes",
    "r5c_capture": "pipeline_probes.r5c_capture",
    "yuan_capture": "pipeline_probes.yuan_capture",
    "edgepower": "edgepower",
    "pimon": "pimon",
    "vmstatd": "vmstatd",
    "muxd": "muxd",
    "cx_exporter": "cx_exporter",
    "webd": "webd",
}
COLLECTORS = (
    "telemetryd",
    "benchlabd",
    "pipeline_probes",
    "r5c_capture",
    "yuan_capture",
    "edgepower",
    "pimon",
    "vmstatd",
)

_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 4096
_KILL_S = 5.0
_ASKED_TO_STOP = (0, -signal.SIGTERM, -signal.SIGKILL)


def program(name: str, *args: str) -> list[str]:
    """Return the command line of one of the product's programs, run by this interpreter."""
    return [sys.executable, "-m", MODULES[name], *args]


class Child:
    """One process in a process group of its own, its output in a log file; with ``out``, its stdout in that.

    Its own group keeps a terminal's Ctrl-C away from it: who started it decides when it ends.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        out: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.stopping = False
        with _appending(log) as errors, _appending(out or log) as output:
            self._process = subprocess.Popen(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                preexec_fn=_end_with_parent(),
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def failed(self) -> bool:
        """Whether it ended though nobody asked, or ended badly when asked."""
        code = self.exit_code
        if code is None:
            return False
        return code not in _ASKED_TO_STOP if self.stopping else True

    def may_end(self) -> None:
        """Say that it may end by itself from now on."""
        self.stopping = True

    def terminate(self) -> None:
        """Ask it to stop; nothing happens if it has ended."""
        if self.exit_code is None:
            self.stopping = True
            self._process.terminate()

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        self.stopping = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait(_KILL_S)  # what hangs in the kernel is not gone even then

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end and return the exit code; None if it still runs after ``timeout_s``."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def last_lines(self, count: int = 5) -> list[str]:
        """Return the last lines that it printed."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return text.splitlines()[-count:]

    def obituary(self) -> str:
        """Return who ended how, with its last lines."""
        code = self.exit_code
        how = "still runs" if code is None else _how_it_ended(code)
        lines = [f"  {line}" for line in self.last_lines()]
        return "\n".join([f"{self.name} (pid {self.pid}) {how}", *lines])


class Crew:
    """The children of one run. Leaving the context ends every one that still runs."""

    def __init__(self, log_dir: Path, env: Mapping[str, str] | None = None) -> None:
        self._log_dir = log_dir
        self._env = env
        self.children: list[Child] = []

    def __enter__(self) -> Crew:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs, at once."""
        for child in self.children:
            if child.exit_code is None:
                child.kill()

    def start(self, name: str, argv: Sequence[str], out: Path | None = None) -> Child:
        """Start a child. Raises Fault(IO) when the program cannot be run."""
        try:
            child = Child(name, argv, self._log_dir / f"{name}.log", self._env, out)
        except OSError as error:
            raise Fault(f"cannot start {name} ({argv[0]}): {error.strerror}", Exit.IO) from error
        self.children.append(child)
        return child

    def fallen(self) -> list[Child]:
        """Return the children that ended though nobody asked, or that ended badly."""
        return [child for child in self.children if child.failed]

    def stop(self, children: Iterable[Child], grace_s: float) -> list[str]:
        """Ask the children to stop, all at once, then end those that have not after ``grace_s``.

        Returns one sentence for each that had to be killed.
        """
        asked = [child for child in children if child.exit_code is None]
        for child in asked:
            child.terminate()
        deadline = time.monotonic() + grace_s
        problems = []
        for child in asked:
            if child.wait(max(0.0, deadline - time.monotonic())) is None:
                problems.append(f"{child.name} did not stop within {grace_s:g} s and was killed")
                child.kill()
        return problems


def _appending(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640), "ab")


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before its program, so that it does not outlive a killed parent."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def _ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return _ask
