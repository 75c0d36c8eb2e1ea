"""What the API reads of the machine: samples that all clients share, and the processor for one who waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchlab.daemon import Absent, Transient
from benchlab.host.cpu import CpuUsage, Usage
from benchlab.httpd import Refusal
from pimon.api.history import History
from pimon.api.shared import Shared, Taken
from pimon.api.stats import Json, rounded, stats_of
from pimon.snapshot import Process, Sampler, SystemSample

ALL = 1 << 22  # processes: no kernel has more
BLOCK_S = 1.0
MAX_BLOCKED = 64
"""So many clients may wait at a time with ``block=true``; the connections that are left answer the others."""


class Readings:
    """The machine as the API shows it. May be used by several threads; the sampler is its own.

    ``cache_s`` is how old a sample may be that is shown; ``root`` is where a waiting client's processor is read.
    """

    def __init__(
        self,
        sampler: Sampler,
        cache_s: float,
        root: Path = Path("/"),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.hardware = sampler.hardware
        self.is_simulated = sampler.is_simulated
        self.history = History()
        self._sampler = sampler
        self._cache_s = cache_s
        self._root = root
        self._wait = wait
        self._one_at_a_time = threading.Lock()
        self._system = Shared(self._take_system)
        self._processes = Shared(self._take_processes)
        self._blocked = threading.BoundedSemaphore(MAX_BLOCKED)

    def system(self, is_cached: bool = True, max_age_s: float = float("inf")) -> Taken[SystemSample]:
        """Return the machine now, or as it was at most the cache's time and ``max_age_s`` ago."""
        taken = self._system.get(min(self._cache_s, max_age_s) if is_cached else 0.0)
        self._keep(taken)
        return taken

    def stats(self, is_cached: bool = True, is_blocking: bool = False) -> dict[str, Json]:
        """Return what /stats answers; with ``is_blocking`` after BLOCK_S, with the processor of just that time.

        Raises Refusal (503) where too many wait already.
        """
        if not is_blocking:
            return self._shown(self.system(is_cached))
        if not self._blocked.acquire(blocking=False):
            headers = {"Retry-After": str(int(BLOCK_S))}
            raise Refusal(
                503, f"found {MAX_BLOCKED} clients that wait with block=true, expected fewer", headers=headers
            )
        try:
            used = self._processor()
        finally:
            self._blocked.release()
        return {**self._shown(self.system(is_cached, BLOCK_S)), **used}

    def processes(self) -> Taken[tuple[Process, ...]]:
        """Return all processes now, or as they were at most the cache's time ago. Raises Refusal (503)."""
        try:
            return self._processes.get(self._cache_s)
        except (Absent, Transient) as error:
            raise Refusal(503, f"the processes cannot be read: {error}") from error

    def offer(self, system: SystemSample) -> None:
        """Share a sample that was taken for something else just now."""
        self._keep(self._system.offer(system))

    def _shown(self, taken: Taken[SystemSample]) -> dict[str, Json]:
        return stats_of(taken.value, self.hardware, taken.timestamp)

    def _keep(self, taken: Taken[SystemSample]) -> None:
        if self.history.takes(taken.began_s):
            self.history.add(taken.began_s, self._shown(taken))

    def _processor(self) -> dict[str, Json]:
        """Wait, and return how busy the processor was meanwhile; nothing if it does not tell."""
        if self.is_simulated:
            self._wait(BLOCK_S)
            return {}
        usage = CpuUsage(self._root)
        try:
            self._usage(usage)
            self._wait(BLOCK_S)
            found = self._usage(usage)
        finally:
            usage.close()
        if found is None:
            return {}
        cores = [found.cores.get(core) for core in sorted(found.online)]
        return {"cpu_usage": rounded(found.total), "per_cpu_usage": [rounded(share) for share in cores]}

    def _usage(self, usage: CpuUsage) -> Usage | None:
        try:
            return usage.read()
        except (Absent, Transient):
            return None

    def _take_system(self) -> SystemSample:
        with self._one_at_a_time:
            return self._sampler.system()

    def _take_processes(self) -> tuple[Process, ...]:
        with self._one_at_a_time:
            return self._sampler.processes(ALL)
