"""A host with NVIDIA GPUs, in the process of the test: the real binding on a library that answers from a table."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns
from typing import Any

from benchlab.daemon import Absent, Source, Transient
from support.fake_nvml import FakeNvml
from telemetryd.nvml.session import Nvml
from telemetryd.nvml.watch import GpuWatch


class Host:
    """A host with a driver, in this process."""

    def __init__(self, fake: FakeNvml, index: int | None = None) -> None:
        self.fake = fake
        self.nvml = Nvml(backoff_s=(0.0, 0.0))
        self.watch = GpuWatch(self.nvml, time_ns, index, wait_s=0.01)
        self.gpus: dict[str, Source] = {}

    def look(self) -> None:
        """Let the watch do its work once; raises what it raises."""
        try:
            self.watch.sample()
        finally:
            self.gpus.update({gpu.dev: gpu for gpu in self.watch.arrivals()})  # type: ignore[attr-defined]

    def read(self, uuid: str) -> dict[str, Any]:
        (reading,) = self.gpus[uuid].sample()
        assert reading.dev == uuid
        return reading.kv


def attempt(act: Callable[[], object]) -> None:
    try:
        act()
    except (Absent, Transient):
        pass
