"""cpu.psutil: how busy the processor is, in all and per core, its clock and its load."""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon import Absent, Reading, Source
from benchlab.event import Scalar, Value
from benchlab.host.cpu import CpuFrequency, CpuUsage, LoadAverage
from telemetryd.sources import KERNEL_LANE, Options


class CpuSource:
    """The processor of the host, since the sample before."""

    name = "cpu.psutil"
    lane = KERNEL_LANE
    stamping = "end"

    def __init__(self, root: Path = Path("/"), period_s: float = 0.1) -> None:
        self.window_ms = period_s * 1e3
        self._usage = CpuUsage(root)
        self._frequency = CpuFrequency(root)
        self._load = LoadAverage(root)

    def sample(self) -> list[Reading]:
        """Return one reading. Raises Absent without /proc/stat, Transient for garbage."""
        usage = self._usage.read()
        clocks = self._frequency.read(usage.online)
        kv: dict[str, Value] = {}
        if usage.total is not None:
            kv["cpu_util"] = round(usage.total, 2)
        if cores := [row for n in usage.online if len(row := _core(n, usage.cores, clocks)) > 1]:
            kv["cores"] = cores
        if clocks:
            kv["freq_mhz"] = round(sum(clocks.values()) / len(clocks), 1)
        kv.update(self._load_averages())
        if usage.ctx_switches_s is not None:
            kv["ctx_switches_s"] = round(usage.ctx_switches_s, 1)
        return [Reading(kv)]

    def _load_averages(self) -> dict[str, float]:
        try:
            return dict(zip(("load1", "load5", "load15"), self._load.read(), strict=True))
        except Absent:
            return {}


def _core(number: int, busy: dict[int, float], clocks: dict[int, float]) -> dict[str, Scalar]:
    row: dict[str, Scalar] = {"core": number}
    if number in busy:
        row["util"] = round(busy[number], 1)
    if number in clocks:
        row["freq_mhz"] = round(clocks[number])
    return row


def sources(options: Options) -> list[Source]:
    """Return the processor."""
    return [CpuSource(options.root, options.period_s)]
