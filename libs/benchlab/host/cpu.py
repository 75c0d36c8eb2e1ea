"""The processor: how busy it was, in all and per core, its clock, load averages and context switches.

Sources: proc_stat(5), proc_loadavg(5), Documentation/admin-guide/pm/cpufreq.rst of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns

import msgspec

from benchlab.daemon.source import Absent
from benchlab.host.procfile import ProcFile, Rates

TOTAL = -1

_IDLE, _IOWAIT = 3, 4
_TIMES = 8  # guest times follow; they are contained in user and nice
_CPUINFO_EVERY_NS = 1_000_000_000

Times = tuple[int, int]  # busy and idle, in ticks


class Usage(msgspec.Struct, frozen=True):
    """How busy the processor was since the reading before, in percent.

    ``cores`` has only cores that were online at both readings and whose counters did not go backwards;
    ``total`` and ``ctx_switches_s`` are None where they are not known.
    """

    total: float | None
    cores: dict[int, float]
    online: tuple[int, ...]
    ctx_switches_s: float | None


class CpuUsage:
    """Usage between one reading and the next, from /proc/stat."""

    def __init__(self, root: Path = Path("/"), monotonic: Callable[[], int] = monotonic_ns) -> None:
        self._file = ProcFile(root, "proc/stat")
        self._monotonic = monotonic
        self._before: dict[int, Times] = {}
        self._rates = Rates()

    def read(self) -> Usage:
        """Return the usage since the last call. Raises Absent or Transient."""
        data = self._file.read()
        now_ns = self._monotonic()
        try:
            times, switches = _parse_stat(data)
        except (ValueError, IndexError):
            raise self._file.garbage(data, "the cpu and ctxt lines of proc_stat(5)") from None
        before, self._before = self._before, times
        busy = {n: share for n in times if (share := _share(before.get(n), times[n])) is not None}
        rates = self._rates.update({"ctxt": switches}, now_ns)
        online = tuple(n for n in times if n != TOTAL)
        return Usage(busy.pop(TOTAL, None), busy, online, rates.get("ctxt"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parse_stat(data: bytes) -> tuple[dict[int, Times], int]:
    """Return busy and idle ticks by core (TOTAL for all), and the count of context switches."""
    times: dict[int, Times] = {}
    for line in data.split(b"\n"):
        name, *fields = line.split()
        if not name.startswith(b"cpu"):
            break
        ticks = list(map(int, fields[:_TIMES]))
        idle = ticks[_IDLE] + ticks[_IOWAIT]
        times[int(name[3:] or TOTAL)] = (sum(ticks) - idle, idle)
    if TOTAL not in times:
        raise ValueError("no line for all cores")
    return times, int(data.split(b"\nctxt ", 1)[1].split(b"\n", 1)[0])


def _share(before: Times | None, now: Times) -> float | None:
    """Return the busy share of the time between two readings in percent, None where it is not known."""
    if before is None:
        return None
    busy, idle = now[0] - before[0], now[1] - before[1]
    if busy < 0 or idle < 0 or busy + idle == 0:
        return None
    return 100.0 * busy / (busy + idle)


class CpuFrequency:
    """The clock of each core in MHz, from cpufreq, else from /proc/cpuinfo.

    cpuinfo is dear on large machines and hardly ever changes where there is no cpufreq: it is read at most
    once a second and otherwise repeated.
    """

    def __init__(self, root: Path = Path("/"), monotonic: Callable[[], int] = monotonic_ns) -> None:
        self._root = root
        self._monotonic = monotonic
        self._online: tuple[int, ...] = ()
        self._files: dict[int, ProcFile] = {}
        self._cpuinfo = ProcFile(root, "proc/cpuinfo")
        self._cpuinfo_ns: int | None = None
        self._from_cpuinfo: dict[int, float] = {}

    def read(self, online: tuple[int, ...]) -> dict[int, float]:
        """Return the clock of those cores that tell it. Raises Transient for garbage, never Absent."""
        if online != self._online:
            self._look_up(online)
        found = {core: self._read_core(core) for core in tuple(self._files)}
        known = {core: mhz for core, mhz in found.items() if mhz is not None}
        return known or self._read_cpuinfo()

    def _look_up(self, online: tuple[int, ...]) -> None:
        """Begin anew with these cores."""
        for file in self._files.values():
            file.close()
        name = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
        self._files = {core: ProcFile(self._root, name.format(core)) for core in online}
        self._online = online

    def _read_core(self, core: int) -> float | None:
        file = self._files[core]
        try:
            data = file.read()
        except Absent:
            del self._files[core]  # asked again when the set of cores changes
            return None
        try:
            return int(data) / 1e3
        except ValueError:
            raise file.garbage(data, "a frequency in kHz") from None

    def _read_cpuinfo(self) -> dict[int, float]:
        now_ns = self._monotonic()
        if self._cpuinfo_ns is None or now_ns - self._cpuinfo_ns >= _CPUINFO_EVERY_NS:
            self._cpuinfo_ns = now_ns
            try:
                data = self._cpuinfo.read()
            except Absent:
                return {}
            try:
                self._from_cpuinfo = _parse_cpuinfo(data)
            except ValueError:
                raise self._cpuinfo.garbage(data, "'cpu MHz' lines with a number") from None
        return self._from_cpuinfo


def _parse_cpuinfo(data: bytes) -> dict[int, float]:
    clocks: dict[int, float] = {}
    core = 0
    for line in data.splitlines():
        name, _, value = line.partition(b":")
        if name.strip() == b"processor":
            core = int(value)
        elif name.strip() == b"cpu MHz":
            clocks[core] = float(value)
    return clocks


class LoadAverage:
    """The load averages over 1, 5 and 15 minutes, from /proc/loadavg."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._file = ProcFile(root, "proc/loadavg")

    def read(self) -> tuple[float, float, float]:
        """Return the three averages. Raises Absent or Transient."""
        data = self._file.read()
        try:
            one, five, fifteen = (float(field) for field in data.split()[:3])
        except ValueError:
            raise self._file.garbage(data, "three load averages") from None
        return one, five, fifteen
