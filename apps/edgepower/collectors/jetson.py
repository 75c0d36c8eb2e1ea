"""jetson_*: NVIDIA Jetson boards; power from their monitors in sysfs, all else from tegrastats, else from sysfs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchlab.daemon import Absent, Transient
from benchlab.host.procfile import ProcFile
from edgepower.collectors.base import BaseCollector, Options, Stamp, section, told
from edgepower.collectors.host_metrics import DevfreqMetrics, HostMetrics, board_model
from edgepower.collectors.jetson_iio import IioRails
from edgepower.collectors.jetson_rails import is_connected, powers_of
from edgepower.collectors.monitors import Monitors
from edgepower.collectors.tegrastats import Line, parse
from edgepower.collectors.tegrastats_child import TegrastatsChild

_CARRIER = "ina238"
"""The monitor of a carrier's input, which names no rail: an AGX Thor has it."""

_GPU_LOADS = ("sys/devices/platform/gpu.0/load", "sys/devices/platform/17000000.gpu/load")
_NO_ZONES = ("pmic", "pmic_die", "thermal_fan_est")
"""Zones that say 50 or 100 °C whatever happens, and one that is computed of the others."""

_GPU_CLOCKS = {"gpu": "gpu", "gp10b": "gpu", "gv11b": "gpu", "ga10b": "gpu"}
"""What the name of the GPU contains in devfreq, by release: the part itself, or its chip (TX2, Xavier, Orin)."""

_OFTEN_MISSING = ("jetson_emc_freq_mhz", "jetson_gpu_usage_percent")
_MOST_UNKNOWN = 100
INTERVALS_MS = (100, 1000)
"""Shortest and longest time between two lines of tegrastats, however often anybody asks for one."""


class TegrastatsConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The section ``tegrastats``: ``command`` is the program with its arguments, ``--interval`` is added."""

    command: str | list[str] | None = None

    @property
    def words(self) -> list[str] | None:
        """The command as a list; None if it is to be looked for."""
        return shlex.split(self.command) if isinstance(self.command, str) else self.command


class JetsonCollector(BaseCollector):
    """One Jetson. The board is known by the names of its rails.

    ``unknown_tokens`` counts what tegrastats printed and nobody knows, ``raw_line`` is the last line it printed.
    """

    def __init__(self, device_type: str, config: TegrastatsConfig, options: Options) -> None:
        self.device_type = device_type
        self.dev = options.name
        self.identity = board_model(options.root)
        self.unknown_tokens: Counter[str] = Counter()
        self.raw_line = ""
        self._now_ns = options.now_ns
        self._monitors = Monitors(options.root, ("ina3221", _CARRIER))
        self._iio = IioRails(options.root)
        self._sysfs = _Sysfs(options.root)
        self._child = _child(config, options)
        self._rails: set[str] = set()

    def get_metrics(self) -> dict[str, float]:
        """Return powers, temperatures, loads, clocks. Raises what tegrastats does if there are no rails either."""
        rails_w, self.stamp = self._measured_rails()
        said = self._listen(is_patient=not rails_w)
        if isinstance(said, _Heard):
            found, absent = dict(said.line.metrics), dict(said.line.absent)
            for name in _OFTEN_MISSING:
                if name not in found:
                    absent.setdefault(name, "tegrastats does not print it, or only if run as root")
            if not rails_w:
                rails_w, self.stamp = said.line.rails_w, Stamp(said.ts_ns)
        elif rails_w:
            found, absent = self._sysfs.read(), {"jetson_emc_freq_mhz": told(said)}
        else:
            raise said
        self._rails |= rails_w.keys()
        powers = powers_of(rails_w, self._rails)
        self.scopes = powers.scopes
        self.absent = {**absent, **powers.absent}
        return {**found, **powers.metrics}

    def close(self) -> None:
        """End tegrastats."""
        if self._child is not None:
            self._child.close()

    def _measured_rails(self) -> tuple[dict[str, float], Stamp]:
        """Return watts by rail as the kernel has them, and when they were read."""
        begin_ns = self._now_ns()
        found = {
            rail: monitor.power_w
            for monitor in self._monitors.read()
            if is_connected(rail := monitor.rail or ("VIN" if monitor.chip == _CARRIER else ""))
        }
        if not found:
            found = {rail: watts for rail, watts in self._iio.read().items() if is_connected(rail)}
        return found, Stamp.between(begin_ns, self._now_ns())

    def _listen(self, is_patient: bool) -> _Heard | Absent | Transient:
        if self._child is None:
            return Absent("tegrastats tells of this machine, not of a recorded one", "set tegrastats.command")
        try:
            self.raw_line, ts_ns = self._child.latest(is_patient)
        except (Absent, Transient) as error:
            return error
        line = parse(self.raw_line)
        for token in line.unknown:
            if len(self.unknown_tokens) < _MOST_UNKNOWN or token in self.unknown_tokens:
                self.unknown_tokens[token] += 1
        line.metrics["jetson_tegrastats_unknown_tokens"] = float(len(line.unknown))
        return _Heard(line, ts_ns)


@dataclass(frozen=True)
class _Heard:
    line: Line
    ts_ns: int


class _Sysfs:
    """What sysfs tells where tegrastats does not."""

    def __init__(self, root: Path) -> None:
        self._host = HostMetrics("jetson", root, _NO_ZONES)
        self._clocks = DevfreqMetrics("jetson", root, _GPU_CLOCKS)
        self._loads = [ProcFile(root, name) for name in _GPU_LOADS]

    def read(self) -> dict[str, float]:
        found = {**self._host.read(), **self._clocks.read()}
        for load in self._loads:
            try:
                found["jetson_gpu_usage_percent"] = int(load.read()) / 10.0
                break
            except (Absent, ValueError):
                continue
        return found


def _child(config: TegrastatsConfig, options: Options) -> TegrastatsChild | None:
    """Return the child, None for a recorded machine unless it has a tegrastats of its own."""
    if config.command is None and options.root != Path("/"):
        return None
    shortest_ms, longest_ms = INTERVALS_MS
    interval_ms = min(max(shortest_ms, round(options.period_s * 1e3)), longest_ms)
    return TegrastatsChild(config.words, interval_ms, options.now_ns)


def collectors(device_type: str, config: Mapping[str, Any], options: Options) -> list[BaseCollector]:
    """Return the board's collector. Raises Fault (CONFIG)."""
    settings = section(config, "tegrastats", TegrastatsConfig)
    return [JetsonCollector(device_type, settings, options)]
