"""An INA260 in a board's supply line: through the kernel's driver if one has it, else over I2C."""

from __future__ import annotations

from typing import Annotated

import msgspec

from benchlab.chips import ina260
from benchlab.chips.i2c import Bus, no_bus, open_bus
from benchlab.daemon import Absent, Transient
from edgepower.collectors.base import CURRENT, TOTAL, VOLTAGE, Options, Scope
from edgepower.collectors.monitors import SINGLE, Monitors


class Ina260Config(msgspec.Struct, forbid_unknown_fields=True):
    """The section ``ina260``: number of the I2C bus, and the chip's address on it."""

    bus: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    address: Annotated[int, msgspec.Meta(ge=0x40, le=0x4F)] = ina260.ADDRESS


class SupplyMeter:
    """Voltage, current and power of a board's input, by a chip that is wired into its supply line.

    Without ``may_use_i2c`` only a driver of the kernel is asked.
    """

    scope: Scope = "board_input"

    def __init__(self, config: Ina260Config, options: Options, *, may_use_i2c: bool = True) -> None:
        self._config = config
        self._options = options
        self._may_use_i2c = may_use_i2c
        self._monitors = Monitors(options.root, SINGLE)
        self._bus: Bus | None = None
        self._chip: ina260.Ina260 | None = None
        self.window_ms: float | None = None

    def read(self) -> dict[str, float]:
        """Return the metrics of the board's input. Raises Absent or Transient."""
        found = self._monitors.read()
        if len(found) > 1:
            chips = ", ".join(monitor.chip for monitor in found)
            raise Absent(f"{len(found)} power monitors ({chips}): which one is in the supply line is not known")
        if found:
            return _metrics(found[0].voltage_v, found[0].current_a, found[0].power_w)
        if not self._may_use_i2c:
            raise Absent(self._monitors.why)
        try:
            measured = self._opened().read()
        except (Absent, Transient):
            self.close()
            raise
        self.window_ms = self._chip.window_ms if self._chip else None
        return _metrics(measured.voltage_v, measured.current_a, measured.power_w)

    def close(self) -> None:
        """Close the bus; the next reading opens it."""
        bus, self._bus, self._chip = self._bus, None, None
        close = getattr(bus, "close", None)
        if close is not None:
            close()

    def _opened(self) -> ina260.Ina260:
        if self._chip is None:
            number = self._config.bus
            try:
                self._bus = (self._options.open_bus or open_bus)(number)
            except OSError as error:
                raise no_bus(error, f"/dev/i2c-{number}") from None
            self._chip = ina260.Ina260(self._bus, self._config.address)
        return self._chip


def _metrics(voltage_v: float, current_a: float, power_w: float) -> dict[str, float]:
    values = {TOTAL: power_w, VOLTAGE: voltage_v, CURRENT: current_a}
    return {key: round(value, 6) for key, value in values.items()}
