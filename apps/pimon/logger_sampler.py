"""One sample of the host for the stand-alone logger, by psutil."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict

import psutil

from pimon.logger_power import PowerSupply
from pimon.logger_store import Sample

UNKNOWN_FREQ = 0.0  # the schema's word for it; the column knows no NULL

_Identity = tuple[int, float]


class HostSampler:
    """Takes samples; loads are those since the sample before, and since this was made for the first."""

    def __init__(self, supply: PowerSupply, top: int, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._supply = supply
        self._top = top
        self._clock_ns = clock_ns
        self._processes: dict[_Identity, psutil.Process] = {}
        psutil.cpu_percent()
        psutil.cpu_percent(percpu=True)
        self._busiest()

    def sample(self) -> Sample:
        """Return the host now."""
        load1, load5, load15 = os.getloadavg()
        system = {
            **asdict(self._supply.read()),
            "cpu_total": psutil.cpu_percent(),
            "cpu_freq": _freq_mhz(),
            "load1": load1,
            "load5": load5,
            "load15": load15,
        }
        cores = list(enumerate(psutil.cpu_percent(percpu=True)))
        return Sample(self._clock_ns(), system, cores, self._busiest())

    def _busiest(self) -> list[tuple[int, str, float, float]]:
        """Return (pid, name, % of one core since the last time, % of the memory) of the busiest processes.

        A process that is new is at 0: its first share is known with the next sample.
        """
        found: dict[_Identity, psutil.Process] = {}
        loads: list[tuple[float, psutil.Process]] = []
        for process in psutil.process_iter():
            try:
                identity = process.pid, process.create_time()
                found[identity] = process = self._processes.get(identity, process)
                loads.append((process.cpu_percent(), process))
            except psutil.Error:
                pass  # it has ended
        self._processes = found
        loads.sort(key=lambda load: (-load[0], load[1].pid))
        rows = (_row(process, cpu) for cpu, process in loads)
        return [row for row, _ in zip(filter(None, rows), range(self._top), strict=False)]


def _row(process: psutil.Process, cpu: float) -> tuple[int, str, float, float] | None:
    try:
        name = process.name().encode("utf-8", "replace").decode()
        return process.pid, name, cpu, process.memory_percent()
    except psutil.Error:
        return None


def _freq_mhz() -> float:
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return UNKNOWN_FREQ
    return UNKNOWN_FREQ if found is None else found.current
