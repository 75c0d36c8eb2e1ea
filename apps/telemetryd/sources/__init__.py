"""The devices telemetryd samples: one module each.

A module here has a function ``sources(options)`` that returns its Source objects, and is named nowhere
else.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchlab.daemon import Source
from benchlab.sim import SEED, LoadModel

KERNEL_LANE = "kernel"
"""The thread of the sources that read kernel memory or a register only, and so never block."""


@dataclass(frozen=True)
class Options:
    """What the command line says to the sources.

    ``now_ns`` is the session's timeline, ``root`` the prefix of /proc and /sys. ``simulated`` is the load
    under which to make up what is not there, with ``seed`` for its chance; None makes up nothing.
    ``enable_rapl`` is that of ``[cpu]``.
    """

    now_ns: Callable[[], int]
    period_s: float
    root: Path = Path("/")
    device_index: int = 0
    simulated: LoadModel | None = None
    seed: int = SEED
    enable_rapl: bool = True


def discover(options: Options) -> list[Source]:
    """Return the sources of every module of this package."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return [source for module in modules for source in module.sources(options)]
