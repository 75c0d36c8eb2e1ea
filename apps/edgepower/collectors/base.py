"""What a collector of an edge device is: what it reads, and what may be claimed of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import msgspec

from benchlab.chips.i2c import Bus
from benchlab.daemon import Absent
from benchlab.errors import Exit, Fault
from benchlab.event import Scalar
from benchlab.sim import LoadModel

Scope = Literal["wall", "board_input", "module", "platform", "soc", "package", "gpu", "rail", "estimate"]
"""What a power figure covers, from the outside in; ``estimate`` is computed, not measured.

``platform`` is what the maker of a board says it is; ``rail`` one rail, or the sum of those behind one chip.

Figures of different scopes are never added up: one contains the other, or nobody knows.
"""

TOTAL, GPU = "power_total_watts", "power_gpu_watts"
"""The powers that every device has if it can: of all that it measures, and of its GPU."""

VOLTAGE, CURRENT = "power_voltage_volts", "power_current_amps"
ENERGY, RETURNED = "energy_total_joules", "energy_returned_joules"

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True)
class Stamp:
    """When the powers of a reading were true: ns on the timeline, give or take ``unc_ns`` (None: not known).

    ``rtt_ns`` is how long the device took to answer, where it was asked over a wire.
    """

    ts_ns: int
    unc_ns: int | None = None
    rtt_ns: int | None = None

    @classmethod
    def between(cls, begin_ns: int, end_ns: int) -> Stamp:
        """Return the stamp of what was measured at some time between two times."""
        return cls((begin_ns + end_ns) // 2, (end_ns - begin_ns + 1) // 2)


@dataclass(frozen=True)
class Options:
    """What is said to collectors beside their device's configuration.

    ``now_ns`` is the session's timeline, ``root`` the prefix of /proc, /sys and /dev, ``period_s`` how often they will
    be asked. ``simulate`` is the load under which to make up the device instead of reading it; None makes up nothing.
    ``name`` is what the configuration calls the device; it becomes ``dev``. ``open_bus`` opens an I2C bus by its number
    (smbus2 if it is None).
    """

    root: Path = Path("/")
    now_ns: Callable[[], int] = time_ns
    period_s: float = 1.0
    simulate: LoadModel | None = None
    name: str | None = None
    open_bus: Callable[[int], Bus] | None = None


class BaseCollector:
    """One device. A subclass has ``get_metrics``; the rest has defaults that claim nothing.

    Where it says nothing else, an attribute is the same for the life of the collector:

    - ``device_type``: as in the configuration; the source of its events is ``edge.<device_type>``.
    - ``dev``: which one of several devices of its type, None where the device is the host itself.
    - ``is_simulated``: its metrics are made up, and every event of it is marked ``sim``.
    - ``min_period_s``: asked more often, it repeats its last answer, stamp and all.
    - ``max_period_s``: asked more seldom, it misses what its device counts.
    - ``window_ms``: the time that the device averages its powers over, None where that is not known.
    - ``stamp``: of what ``get_metrics`` returned last; None leaves it to the daemon, which takes the middle of the
      call. The same stamp as before means that nothing new was measured.
    - ``scopes``: metric of a power -> what it covers. Changes when the device tells more or less.
    - ``absent``: metric -> why the last ``get_metrics`` did not return it, with the fix where there is one.
    - ``identity``: model, firmware, address; empty until the device has told.
    """

    device_type: str = ""
    dev: str | None = None
    is_simulated: bool = False
    min_period_s: float = 0.0
    max_period_s: float = math.inf
    window_ms: float | None = None
    stamp: Stamp | None = None
    scopes: Mapping[str, Scope] = MappingProxyType({})
    absent: Mapping[str, str] = MappingProxyType({})
    identity: Mapping[str, Scalar] = MappingProxyType({})

    def get_metrics(self) -> dict[str, float]:
        """Return what the device reads now, by metric name; the unit ends the name. What is not known is not there.

        Blocks for a few seconds at most. It is called by one thread at a time. Raises benchlab.daemon.Absent (not on
        this host, with the fix) or Transient (try later); anything else is a defect.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the device; another thread may call it, and more than once."""


def section(config: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return a section of a device's configuration as a typed structure; without it, its defaults.

    Raises Fault (CONFIG) naming the key, what was found and what was expected.
    """
    try:
        return msgspec.convert(config.get(name) or {}, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        key = name + where.rstrip("`")
        raise Fault(f"{key}: {message[:1].lower()}{message[1:]}", Exit.CONFIG) from None


def metric_part(name: str) -> str:
    """Return the name of a rail, zone or engine as a part of a metric's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"


def told(error: Exception) -> str:
    """Return why a device or a metric is absent, with the fix if there is one."""
    fix = error.fix if isinstance(error, Absent) else ""
    return f"{error} ({fix})" if fix else str(error)
