"""The busiest processes, from /proc/[pid]/stat. Source: proc_pid_stat(5)."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from time import monotonic_ns, sleep
from typing import NamedTuple

from benchlab.daemon import Absent
from pimon.snapshot import Process

FIRST_S = 0.1
"""The first sample is taken over this time: before it nothing is known."""

_UTIME, _STIME, _START, _RSS = 11, 12, 19, 21  # counted behind the name, which may hold anything
_STAT_SIZE = 1024
_COMM_LENGTH = 15
_KNOWN_MOST = 1024

Key = tuple[int, int]  # pid and start time in ticks: a pid alone is used again


class _Seen(NamedTuple):
    ticks: int
    rss_pages: int
    comm: bytes


class Processes:
    """Shares of processor and memory between one reading and the next.

    A process that was not there before has spent all its time since. One that may not be seen (mount option
    hidepid), and one that comes and goes between two readings, is not counted.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        boot_time_s: Callable[[], float],
        with_command_lines: bool = False,
        monotonic: Callable[[], int] = monotonic_ns,
        wait: Callable[[float], None] = sleep,
    ) -> None:
        self._proc = str(root / "proc")
        self._boot_time_s = boot_time_s
        self._with_command_lines = with_command_lines
        self._monotonic = monotonic
        self._wait = wait
        self._tick_hz = os.sysconf("SC_CLK_TCK")
        self._page_b = os.sysconf("SC_PAGE_SIZE")
        self._before: dict[Key, _Seen] | None = None
        self._before_ns = 0
        self._known: dict[Key, tuple[str, str | None]] = {}

    def read(self, top: int, memory_b: int | None) -> tuple[Process, ...]:
        """Return the ``top`` processes by use of processor, then memory. Raises Absent: no /proc.

        ``memory_b`` is the size of the memory, None where it is not known.
        """
        if self._before is None:
            self._before, self._before_ns = self._scan(), self._monotonic()
            self._wait(FIRST_S)
        before, elapsed_ns = self._before, self._monotonic() - self._before_ns
        now = self._scan()
        self._before, self._before_ns = now, self._before_ns + elapsed_ns
        spent = {key: seen.ticks - (before[key].ticks if key in before else 0) for key, seen in now.items()}
        busiest = sorted(now, key=lambda key: (-spent[key], -now[key].rss_pages, key))[:top]
        per_tick = 100.0 * 1e9 / (self._tick_hz * max(1, elapsed_ns))
        boot_time_s = self._boot_time_s()
        if len(self._known) > _KNOWN_MOST:
            self._known = {key: told for key, told in self._known.items() if key in now}
        return tuple(
            self._process(key, now[key], max(0, spent[key]) * per_tick, memory_b, boot_time_s) for key in busiest
        )

    def _process(self, key: Key, seen: _Seen, cpu_pct: float, memory_b: int | None, boot_time_s: float) -> Process:
        pid, start_ticks = key
        name, user = self._about(key, seen.comm)
        return Process(
            pid=pid,
            name=name,
            start_time_s=round(boot_time_s + start_ticks / self._tick_hz, 2),
            cpu_pct=round(cpu_pct, 2),
            mem_pct=round(100.0 * seen.rss_pages * self._page_b / memory_b, 3) if memory_b else None,
            command_line=self._command_line(pid) if self._with_command_lines else None,
            user=user,
        )

    def _scan(self) -> dict[Key, _Seen]:
        found: dict[Key, _Seen] = {}
        try:
            names = os.listdir(self._proc)  # noqa: PTH208  # no Path for each of hundreds
        except OSError as error:
            raise Absent(f"{self._proc}: {error.strerror}") from None
        for name in names:
            if not name.isdecimal():
                continue
            try:
                data = _content(f"{self._proc}/{name}/stat", _STAT_SIZE)
                head, _, rest = data.rpartition(b")")
                fields = rest.split()
                key = (int(name), int(fields[_START]))
                ticks = int(fields[_UTIME]) + int(fields[_STIME])
                found[key] = _Seen(ticks, int(fields[_RSS]), head.partition(b"(")[2])
            except (OSError, ValueError, IndexError):  # it has ended meanwhile
                continue
        return found

    def _about(self, key: Key, comm: bytes) -> tuple[str, str | None]:
        """Return a process's name and user, which are looked up once; a new program in it has a new name."""
        known = self._known.get(key)
        name = comm.decode("utf-8", "backslashreplace")
        if known is None or not known[0].startswith(name):
            known = self._known[key] = (self._program(key[0], name), self._user(key[0]))
        return known

    def _program(self, pid: int, comm: str) -> str:
        """Return the program's name: the kernel keeps the first 15 bytes of it, the command line may have the rest."""
        if len(comm) < _COMM_LENGTH:
            return comm
        first = (self._command_line(pid, "\0") or "").partition("\0")[0].rpartition("/")[2]
        return first if first.startswith(comm) and " " not in first else comm

    def _command_line(self, pid: int, separator: str = " ") -> str | None:
        try:
            data = _content(f"{self._proc}/{pid}/cmdline", 4096)
        except OSError:
            return None
        return data.rstrip(b"\0").decode("utf-8", "backslashreplace").replace("\0", separator) or None

    def _user(self, pid: int) -> str | None:
        try:
            return _user_name(os.stat(f"{self._proc}/{pid}").st_uid)  # noqa: PTH116
        except OSError:
            return None


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _content(path: str, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)
