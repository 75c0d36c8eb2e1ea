"""orange_pi: inputs and battery through an AXP209, an INA in the supply line, temperatures, clocks and loads.

No Orange Pi measures its own power, those with an AXP209 apart: later AXP chips tell limits of the input, not its
current, and what USB-C partners have agreed on is no measurement either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchlab.daemon import Absent, Transient
from benchlab.host.power_supply import PowerSupplies, Supply
from edgepower.collectors.base import TOTAL, BaseCollector, Options, Scope, Stamp, metric_part, section, told
from edgepower.collectors.host_metrics import DevfreqMetrics, HostMetrics, board_model
from edgepower.collectors.ina260_meter import Ina260Config, SupplyMeter

_INPUT_KINDS = ("Mains", "USB")
_NO_METER = "this board has no meter of its own: wire an INA260 into its supply, or use a Shelly"
_DEVICES = {"gpu": "gpu", "npu": "npu", "dmc": "memory"}


class OrangePiCollector(BaseCollector):
    """One Orange Pi. An INA260 is looked for on I2C only if the configuration has a section ``ina260``."""

    device_type = "orange_pi"

    def __init__(self, chip: Ina260Config, may_use_i2c: bool, options: Options) -> None:
        self.dev = options.name
        self.scopes: dict[str, Scope] = {}
        self.absent: dict[str, str] = {}
        self.identity = board_model(options.root)
        self._now_ns = options.now_ns
        self._supplies = PowerSupplies(options.root)
        self._meter = SupplyMeter(chip, options, may_use_i2c=may_use_i2c)
        self._host = HostMetrics("orange_pi", options.root)
        self._clocks = DevfreqMetrics("orange_pi", options.root, _DEVICES)

    def get_metrics(self) -> dict[str, float]:
        """Return what the board tells. Raises Absent if it tells nothing."""
        self.scopes, self.absent = {}, {}
        found: dict[str, float] = {}
        begin_ns = self._now_ns()
        try:
            found.update(self._meter.read())
            self.scopes[TOTAL] = self._meter.scope
            self.window_ms = self._meter.window_ms
        except (Absent, Transient) as error:
            self.absent[TOTAL] = told(error)
        self._add_supplies(found, self._supplies.read())
        self.stamp = Stamp.between(begin_ns, self._now_ns())
        found.update(self._host.read())
        found.update(self._clocks.read())
        if not found:
            raise Absent(f"nothing to read: {self.absent[TOTAL]}", _NO_METER)
        return found

    def close(self) -> None:
        """Close the I2C bus."""
        self._meter.close()

    def _add_supplies(self, found: dict[str, float], supplies: Sequence[Supply]) -> None:
        inputs = [each for each in supplies if _is_measured_input(each)]
        batteries = [each for each in supplies if each.kind == "Battery" and each.name.startswith("axp")]
        for supply in inputs + batteries:
            self._add(found, supply)
        if TOTAL not in found:
            self._add_total(found, inputs, batteries)

    def _add(self, found: dict[str, float], supply: Supply) -> None:
        part = metric_part(supply.name)
        values = {"voltage_{}_volts": supply.voltage_v, "power_{}_watts": supply.magnitude_w}
        if supply.kind == "Battery":
            values["charge_{}_percent"] = supply.capacity_pct
        for name, value in values.items():
            if value is not None:
                found[f"orange_pi_{name.format(part)}"] = round(value, 6)
        if supply.magnitude_w is not None:
            self.scopes[f"orange_pi_power_{part}_watts"] = "rail"

    def _add_total(self, found: dict[str, float], inputs: Sequence[Supply], batteries: Sequence[Supply]) -> None:
        """Add what the board takes in: from its inputs, or from a battery that it runs on alone."""
        feeding = [each for each in batteries if each.is_discharging]
        used = [each for each in inputs if each.online is not False]
        if used and feeding:
            self.absent[TOTAL] = "inputs and battery both feed the board: what each of them adds is not known"
            return
        powers = [each.magnitude_w for each in used or feeding]
        known = [watts for watts in powers if watts is not None]
        if not powers or len(known) < len(powers):
            self.absent[TOTAL] += f"; {_NO_METER}"
            return
        found[TOTAL] = round(sum(known), 6)
        self.scopes[TOTAL] = "board_input"
        del self.absent[TOTAL]


def _is_measured_input(supply: Supply) -> bool:
    """Return whether a supply is an input whose voltage and current a chip converts: that of an AXP209."""
    measures = supply.voltage_v is not None and supply.current_a is not None
    return supply.name.startswith("axp20x-") and supply.kind in _INPUT_KINDS and measures


def collectors(device_type: str, config: Mapping[str, Any], options: Options) -> list[BaseCollector]:
    """Return the board's collector. Raises Fault (CONFIG)."""
    chip = section(config, "ina260", Ina260Config)
    return [OrangePiCollector(chip, "ina260" in config, options)]
