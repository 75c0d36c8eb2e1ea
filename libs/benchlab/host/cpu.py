"""The processor: how busy it was, in all and per core, its clock, load averages and context switches.

Sources: proc_stat(5), proc_loadavg(5), Documentation/admin-guide/pm/cpufreq.rst of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

from benchlab.daemon.source import Absent
from benchlab.host.procfile import ProcFile, Rates

TOTAL = -1

_IDLE = slice(3, 5)  # idle and iowait
_TIMES = slice(0, 8)  # guest times follow; they are contained in user and nice
_CPUINFO_EVERY_NS = 1_000_000_000

Times = tuple[int, int]  # busy and idle, in ticks


@dataclass(frozen=True)
class Usage:
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


def _parse_stat(data: bytes) -> tuple[dict[int, Times], int]:
    """Return busy and idle ticks by core (TOTAL for all), and the count of context switches."""
    times: dict[int, Times] = {}
    for line in data.splitlines():
        if not line.startswith(b"cpu"):
            break
        name, *fields = line.split()
        ticks = [int(field) for field in fields[_TIMES]]
        idle = sum(ticks[_IDLE])
        times[int(name[3:] or TOTAL)] = (sum(ticks) - idle, idle)
    if TOTAL not in times or min(map(min, times.values())) < 0:
        raise ValueError("no total")
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
        self._files: dict[int, ProcFile | None] = {}
        self._cpuinfo = ProcFile(root, "proc/cpuinfo")
        self._cpuinfo_ns: int | None = None
        self._from_cpuinfo: dict[int, float] = {}

    def read(self, online: tuple[int, ...]) -> dict[int, float]:
        """Return the clock of those cores that tell it. Raises Transient for garbage, never Absent."""
        if set(self._files) != set(online):
            self._forget_all_but(online)
        found = {core: mhz for core in online if (mhz := self._read_core(core)) is not None}
        return found or self._read_cpuinfo()

    def _forget_all_but(self, online: tuple[int, ...]) -> None:
        for core in set(self._files) - set(online):
            if (file := self._files.pop(core)) is not None:
                file.close()
        for core in online:
            name = f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq"
            self._files.setdefault(core, ProcFile(self._root, name))

    def _read_core(self, core: int) -> float | None:
        file = self._files[core]
        if file is None:
            return None
        try:
            data = file.read()
        except Absent:
            self._files[core] = None  # asked again when the set of cores changes
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
