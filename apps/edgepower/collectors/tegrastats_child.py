"""tegrastats as a child that runs as long as its reader: its newest line, and what became of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from time import monotonic_ns

from benchlab.daemon import Absent, Transient
from benchlab.daemon.schedule import NS, Backoff

SILENT_INTERVALS = 3
_LONGEST_LINE = 1 << 16
_SHOWN = 160
_TERM_S = 1.0
_FIX = "tegrastats comes with L4T, on a Jetson only; in a container mount it, or set tegrastats.command"


class _Run:
    """One process and the thread that reads it to its end."""

    def __init__(self, command: Sequence[str], now_ns: Callable[[], int]) -> None:
        self.changed = threading.Condition()
        self.line: str | None = None
        self.line_ts_ns = 0
        self.heard_ns = monotonic_ns()
        self.said = ""
        self.ended: int | None = None
        self._now_ns = now_ns
        # a group of its own, so that what a wrapper starts ends with it
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._read, name="tegrastats", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the process and wait for it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.ended is not None:
                break  # its number may be somebody else's by now
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            self._thread.join(_TERM_S)
            if not self._thread.is_alive():
                break

    def _read(self) -> None:
        assert self.process.stdout is not None
        rest = b""
        with self.process.stdout as pipe:
            while data := os.read(pipe.fileno(), _LONGEST_LINE):
                ts_ns, heard_ns = self._now_ns(), monotonic_ns()
                *lines, rest = (rest + data).split(b"\n")
                rest = rest if len(rest) <= _LONGEST_LINE else b""
                for line in lines:
                    self._take(line.decode("utf-8", "backslashreplace").strip(), ts_ns, heard_ns)
        code = self.process.wait()
        with self.changed:
            self.ended = code
            self.changed.notify_all()

    def _take(self, text: str, ts_ns: int, heard_ns: int) -> None:
        """Keep a line of readings, or what else was said: an error message has no number with a unit."""
        with self.changed:
            if "RAM " in text or "CPU [" in text or "mW" in text:
                self.line, self.line_ts_ns, self.heard_ns = text, ts_ns, heard_ns
                self.changed.notify_all()
            elif text:
                self.said = text[:_SHOWN]


class TegrastatsChild:
    """Keeps tegrastats running and has its newest line. Nothing is started before the first ``latest``.

    ``command`` is the program and its arguments, without ``--interval``; None looks for tegrastats on the path.
    """

    def __init__(self, command: Sequence[str] | None, interval_ms: int, now_ns: Callable[[], int]) -> None:
        self._command = command
        self._interval_ms = interval_ms
        self._now_ns = now_ns
        self._backoff = Backoff(1.0, 30.0)
        self._not_before_ns = 0
        self._why = ""
        self._run: _Run | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def latest(self, is_patient: bool = True) -> tuple[str, int]:
        """Return the newest line and when it came, on the timeline; for the first one it waits if it is patient.

        Raises Absent if there is no tegrastats, Transient if it ended or has printed nothing for three intervals; it is
        started anew then, after a growing wait.
        """
        run = self._running()
        patience_ns = SILENT_INTERVALS * self._interval_ms * 1_000_000
        with run.changed:
            wait_s = patience_ns / NS if is_patient else 0.0
            run.changed.wait_for(lambda: run.line is not None or run.ended is not None, wait_s)
            silent_ns = monotonic_ns() - run.heard_ns
            if run.ended is None and run.line is not None and silent_ns < patience_ns:
                self._backoff.reset()
                return run.line, run.line_ts_ns
            if run.ended is None and silent_ns < patience_ns:
                raise Transient("tegrastats: no line yet")
            ended, said = run.ended, run.said
        every_s = self._interval_ms / 1e3
        why = f"no line for {silent_ns / NS:.1f} s, expected one every {every_s:g} s" if ended is None else _code(ended)
        self._give_up(f"tegrastats: {why}" + (f"; it said {said!r}" if said else ""))
        raise Transient(self._why)

    def close(self) -> None:
        """End the child; it is not started again."""
        self._is_closed = True
        self._stop()

    def _running(self) -> _Run:
        with self._lock:
            if self._run is not None:
                return self._run
            if self._is_closed or monotonic_ns() < self._not_before_ns:
                raise Transient(self._why or "tegrastats: closed")
            command = [*self._program(), "--interval", str(self._interval_ms)]
            try:
                self._run = _Run(command, self._now_ns)
            except OSError as error:
                is_denied = isinstance(error, PermissionError)
                fix = f"let this user run it: chmod a+rx {command[0]}" if is_denied else _FIX
                raise Absent(f"{command[0]}: {error.strerror}", fix) from None
            return self._run

    def _program(self) -> Sequence[str]:
        if self._command is not None:
            return self._command
        found = shutil.which("tegrastats", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/local/bin")
        if found is None:
            raise Absent("no tegrastats on the path", _FIX)
        return [found]

    def _give_up(self, why: str) -> None:
        self._why = why
        self._not_before_ns = monotonic_ns() + self._backoff.next_ns()
        self._stop()

    def _stop(self) -> None:
        with self._lock:
            run, self._run = self._run, None
        if run is not None:
            run.stop()


def _code(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
