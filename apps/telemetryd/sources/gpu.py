"""gpu.nvml: NVIDIA GPUs, every one or the one of an index."""

from __future__ import annotations

from pathlib import Path

from benchlab.daemon import Source
from telemetryd.nvml.session import Nvml
from telemetryd.nvml.watch import GpuWatch
from telemetryd.sources import Options


def sources(options: Options) -> list[Source]:
    """Return the source that finds the GPUs; none where they are simulated, or the machine is a recorded one."""
    if options.simulated is not None or options.root != Path("/"):
        return []
    return [GpuWatch(Nvml(), options.now_ns, options.device_index)]
