"""raspberry_pi: an INA260 in the supply line, the power chip of a Pi 5, temperatures and what the firmware throttles.

A Pi before the 5 measures no power at all. The power chip of a Pi 5 measures what it delivers, not what the board takes
in: its sum has a name of its own and is no total, unless the configuration asks for an estimate, which is called so.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchlab.chips import pmic
from benchlab.daemon import Absent, Transient
from benchlab.host.vcgencmd import ask
from edgepower.collectors.base import TOTAL, BaseCollector, Options, Scope, Stamp, metric_part, section, told
from edgepower.collectors.host_metrics import HostMetrics, board_model
from edgepower.collectors.ina260_meter import Ina260Config, SupplyMeter

PMIC_OUTPUT = "raspberry_pi_pmic_output_watts"
ESTIMATE = "raspberry_pi_input_estimate_watts"
THROTTLED = "raspberry_pi_throttled_flags"

_THROTTLED_FILES = "sys/devices/platform/soc*/*firmware/get_throttled"
_HAVE_PMIC = ("Pi 5", "Pi 500", "Compute Module 5")


class RaspberryPiConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The section ``raspberry_pi``: the program to ask, and whether a total may be estimated from the power chip."""

    vcgencmd: str | list[str] | None = None
    estimate_total: bool = False

    @property
    def words(self) -> list[str]:
        """The program and its arguments."""
        command = self.vcgencmd or "vcgencmd"
        return shlex.split(command) if isinstance(command, str) else command


class RaspberryPiCollector(BaseCollector):
    """One Raspberry Pi; each of its parts may be missing without the others."""

    device_type = "raspberry_pi"

    def __init__(self, config: RaspberryPiConfig, chip: Ina260Config, options: Options) -> None:
        self.dev = options.name
        self.scopes: dict[str, Scope] = {}
        self.absent: dict[str, str] = {}
        self.identity = board_model(options.root)
        self._config = config
        self._now_ns = options.now_ns
        self._root = options.root
        self._meter = SupplyMeter(chip, options)
        self._host = HostMetrics("raspberry_pi", options.root)
        is_here = options.root == Path("/") or config.vcgencmd is not None  # vcgencmd tells of this machine only
        self._has_pmic = is_here and any(word in str(self.identity.get("model")) for word in _HAVE_PMIC)

    def get_metrics(self) -> dict[str, float]:
        """Return what its parts tell. Raises Absent or Transient if there is nothing at all."""
        self.scopes, self.absent, self.stamp = {}, {}, None
        found: dict[str, float] = {}
        failed = self._add_supply(found)
        if self._has_pmic:
            self._add_pmic(found)
        found.update(self._host.read())
        found.update(self._throttled())
        if not found and failed is not None:
            raise failed
        return found

    def close(self) -> None:
        """Close the I2C bus."""
        self._meter.close()

    def _add_supply(self, found: dict[str, float]) -> Absent | Transient | None:
        begin_ns = self._now_ns()
        try:
            found.update(self._meter.read())
        except (Absent, Transient) as error:
            self.absent[TOTAL] = told(error)
            return error
        self.stamp = Stamp.between(begin_ns, self._now_ns())
        self.window_ms = self._meter.window_ms
        self.scopes[TOTAL] = self._meter.scope
        return None

    def _add_pmic(self, found: dict[str, float]) -> None:
        begin_ns = self._now_ns()
        try:
            reading = pmic.parse(ask(self._config.words, "pmic_read_adc"))
        except (Absent, Transient) as error:
            self.absent[PMIC_OUTPUT] = told(error)
            return
        except ValueError as error:
            self.absent[PMIC_OUTPUT] = f"pmic_read_adc: {error}"
            return
        stamp = Stamp.between(begin_ns, self._now_ns())
        for rail, watts in reading.powers_w.items():
            self._put(found, f"raspberry_pi_power_{metric_part(rail)}_watts", watts, "rail")
        for rail in (pmic.EXTERNAL_5V, pmic.BATTERY):
            if rail in reading.volts:
                found[f"raspberry_pi_voltage_{metric_part(rail)}_volts"] = round(reading.volts[rail], 6)
        output_w = reading.output_w
        if output_w is None:
            self.absent[PMIC_OUTPUT] = "a rail without its voltage, or without its current"
            return
        self._put(found, PMIC_OUTPUT, output_w, "rail")
        if self._config.estimate_total:
            estimate_w = pmic.estimated_input_w(output_w)
            self._put(found, ESTIMATE, estimate_w, "estimate")
            if TOTAL not in found:
                self._put(found, TOTAL, estimate_w, "estimate")
                self.stamp = stamp
                del self.absent[TOTAL]
        elif TOTAL not in found:
            self.absent[TOTAL] += f"; {PMIC_OUTPUT} is less than the board takes in"

    def _put(self, found: dict[str, float], key: str, watts: float, scope: Scope) -> None:
        found[key] = round(watts, 6)
        self.scopes[key] = scope

    def _throttled(self) -> dict[str, float]:
        """Return the firmware's bit mask: under-voltage, capped, throttled, hot; from bit 16 on, since it started."""
        for path in sorted(self._root.glob(_THROTTLED_FILES)):
            try:
                return {THROTTLED: float(int(path.read_text(), 16))}
            except (OSError, ValueError):
                continue
        return {}


def collectors(device_type: str, config: Mapping[str, Any], options: Options) -> list[BaseCollector]:
    """Return the board's collector. Raises Fault (CONFIG)."""
    settings = section(config, "raspberry_pi", RaspberryPiConfig)
    chip = section(config, "ina260", Ina260Config)
    return [RaspberryPiCollector(settings, chip, options)]
