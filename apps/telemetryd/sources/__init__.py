"""The devices telemetryd samples: one module each.

A module here has a function ``sources(options)`` that returns its Source objects, and is named nowhere
else.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchlab.daemon import Source
from benchlab.errors import Exit, Fault


@dataclass(frozen=True)
class Options:
    """What the command line says to the sources.

    ``root`` is the prefix of /proc and /sys. ``now_ns`` is the session's timeline. ``seed`` and
    ``load_step_s`` shape simulated devices, which are there only if ``simulate`` says so.
    """

    now_ns: Callable[[], int]
    period_s: float
    root: Path = Path("/")
    simulate: bool = False
    device_index: int = 0
    seed: int = 1
    load_step_s: float = 20.0


def discover(options: Options) -> list[Source]:
    """Return the sources of every module of this package."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return [source for module in modules for source in module.sources(options)]


def choose(sources: Sequence[Source], names: Sequence[str]) -> list[Source]:
    """Return the sources with these names, all of them for none. Raises Fault (USAGE) for an unknown name."""
    known = {source.name for source in sources}
    if unknown := [name for name in names if name not in known]:
        hint = "; gpu.nvml needs --simulate in this version" if "gpu.nvml" in unknown else ""
        raise Fault(
            f"--source {unknown[0]}: no such source, expected one of {', '.join(sorted(known))}{hint}",
            Exit.USAGE,
        )
    return [source for source in sources if not names or source.name in names]
