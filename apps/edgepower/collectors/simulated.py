"""Made-up edge devices: the metrics of each type, under the load that all simulators share.

Everything is a pure function of the time on the timeline, so that a restart leaves no trace, and energies are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchlab.errors import Exit, Fault
from benchlab.sim import NS, LoadModel
from edgepower.collectors.base import CURRENT, ENERGY, GPU, TOTAL, VOLTAGE, BaseCollector, Options, Scope, Stamp
from edgepower.collectors.jetson_rails import powers_of

COUNTER_PERIOD_NS = 7 * 86_400 * NS
"""Energy counters start anew with the week: small enough that a float still resolves a millijoule."""

Range = tuple[float, float]
"""What is read without load and under full load."""

CONFIG = {"shelly": {"host": "simulated"}}
"""Sections that a simulated device does not need to have in its configuration."""

_HEAT_S = 25.0
_CORES = 4


@dataclass(frozen=True)
class Device:
    """A device: powers follow the load at once, temperatures after a while, ``fixed`` never changes."""

    powers_w: Mapping[str, Range]
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    energies: Mapping[str, str] = field(default_factory=dict)
    temps_c: Mapping[str, Range] = field(default_factory=dict)
    levels: Mapping[str, Range] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    volts: float | None = None
    rails_w: Mapping[str, Range] = field(default_factory=dict)


_TEMPS = {"jetson_temp_cpu_celsius": (41.0, 68.0), "jetson_temp_gpu_celsius": (39.5, 66.0)}


def _board(prefix: str, ram_mb: float) -> dict[str, Range]:
    """Return what load changes on every board: use of its processor and memory."""
    cores = {f"{prefix}_cpu_core{core}_usage_percent": (2.0 + core, 90.0 + core) for core in range(_CORES)}
    share = (0.2, 0.6)
    ram = {
        f"{prefix}_ram_used_mb": (share[0] * ram_mb, share[1] * ram_mb),
        f"{prefix}_ram_used_percent": (100 * share[0], 100 * share[1]),
        f"{prefix}_ram_total_mb": (ram_mb, ram_mb),
    }
    return {**cores, f"{prefix}_cpu_avg_usage_percent": (3.5, 91.5), **ram}


def _jetson(ram_mb: float, gpu_mhz: float, rails_w: Mapping[str, Range]) -> Device:
    levels = {
        **_board("jetson", ram_mb),
        "jetson_gpu_usage_percent": (0.0, 98.0),
        "jetson_gpu_freq_mhz": (0.25 * gpu_mhz, gpu_mhz),
        "jetson_emc_usage_percent": (1.0, 55.0),
    }
    return Device({}, temps_c=_TEMPS, levels=levels, fixed={"jetson_emc_freq_mhz": 1600.0}, rails_w=rails_w)


_INPUT: dict[str, Scope] = {TOTAL: "board_input"}
DEVICES: dict[str, Device] = {
    "jetson_tx1": _jetson(3983, 998, {}),
    "jetson_tx2": _jetson(7852, 1300, {"VDD_IN": (2.8, 15.0), "VDD_SYS_GPU": (0.2, 6.0), "VDD_SYS_CPU": (0.4, 4.0)}),
    "jetson_nano": _jetson(3956, 921, {"POM_5V_IN": (2.0, 10.0), "POM_5V_GPU": (0.1, 4.0), "POM_5V_CPU": (0.4, 3.0)}),
    "jetson_xavier": _jetson(6854, 1100, {"VDD_IN": (4.4, 15.0), "VDD_CPU_GPU_CV": (0.6, 7.5), "VDD_SOC": (1.1, 2.5)}),
    "jetson_orin": _jetson(
        62841, 1300, {"VDD_GPU_SOC": (2.4, 32.0), "VDD_CPU_CV": (0.8, 14.0), "VIN_SYS_5V0": (4.0, 8.5)}
    ),
    "jetson_thor": _jetson(
        125773,
        1575,
        {"VIN": (22.0, 130.0), "VDD_GPU": (0.0, 75.0), "VDD_CPU_SOC_MSS": (4.2, 30.0), "VIN_SYS_5V0": (4.1, 12.0)},
    ),
    "raspberry_pi": Device(
        {TOTAL: (3.1, 8.4)},
        scopes=_INPUT,
        temps_c={"raspberry_pi_temp_cpu_celsius": (42.0, 71.0)},
        levels=_board("raspberry_pi", 7930),
        fixed={"raspberry_pi_throttled_flags": 0.0},
        volts=5.08,
    ),
    "orange_pi": Device(
        {TOTAL: (1.6, 4.6), "orange_pi_power_axp20x_ac_watts": (1.6, 4.6)},
        scopes={**_INPUT, "orange_pi_power_axp20x_ac_watts": "rail"},
        temps_c={"orange_pi_temp_cpu_celsius": (40.0, 66.0)},
        levels={**_board("orange_pi", 993), "orange_pi_gpu_freq_mhz": (120.0, 384.0)},
        fixed={"orange_pi_voltage_axp20x_ac_volts": 5.02},
    ),
    "lattepanda": Device(
        {
            TOTAL: (2.4, 14.6),
            GPU: (0.1, 3.0),
            "lattepanda_power_package_watts": (2.4, 14.6),
            "lattepanda_power_core_watts": (0.9, 9.0),
            "lattepanda_power_uncore_watts": (0.1, 3.0),
        },
        scopes={
            TOTAL: "package",
            GPU: "gpu",
            "lattepanda_power_package_watts": "package",
            "lattepanda_power_core_watts": "rail",
            "lattepanda_power_uncore_watts": "gpu",
        },
        energies={
            ENERGY: TOTAL,
            "lattepanda_energy_package_joules": "lattepanda_power_package_watts",
            "lattepanda_energy_core_joules": "lattepanda_power_core_watts",
            "lattepanda_energy_uncore_joules": "lattepanda_power_uncore_watts",
        },
        temps_c={"lattepanda_temp_x86_pkg_temp_celsius": (44.0, 78.0)},
        levels=_board("lattepanda", 7800),
    ),
    "shelly": Device(
        {TOTAL: (92.0, 400.0)},
        scopes={TOTAL: "wall"},
        energies={ENERGY: TOTAL},
        temps_c={"shelly_temp_celsius": (31.0, 44.0)},
        fixed={"shelly_frequency_hertz": 50.0},
        volts=231.0,
    ),
}


class Simulated(BaseCollector):
    """A made-up device of a type; every event of it is marked so."""

    is_simulated = True

    def __init__(self, device_type: str, options: Options, dev: str | None = None) -> None:
        if options.simulate is None or device_type not in DEVICES:
            raise Fault(f"device_type: nobody has made up a {device_type} yet: it cannot be simulated", Exit.CONFIG)
        self.device_type = device_type
        self.dev = dev
        self.identity = {"model": "simulated"}
        self._device = DEVICES[device_type]
        self._model: LoadModel = options.simulate
        self._now_ns: Callable[[], int] = options.now_ns
        self._counter_start_ns = options.now_ns() // COUNTER_PERIOD_NS * COUNTER_PERIOD_NS

    def get_metrics(self) -> dict[str, float]:
        """Return what the device would read now."""
        ts_ns = self._now_ns()
        self.stamp = Stamp(ts_ns, 0)
        return {name: round(value, 6) for name, value in self.values(ts_ns).items()}

    def values(self, ts_ns: int) -> dict[str, float]:
        """Return what the device would read at a time of the timeline."""
        device, model = self._device, self._model
        load, heat = model.load(ts_ns), model.heat(ts_ns, _HEAT_S)
        found = {name: model.power_w(ts_ns, *span) for name, span in device.powers_w.items()}
        rails_w = {rail: model.power_w(ts_ns, *span) for rail, span in device.rails_w.items()}
        if device.rails_w:
            powers = powers_of(rails_w, rails_w.keys())
            self.scopes, self.absent = powers.scopes, powers.absent
            found.update(powers.metrics)
        else:
            self.scopes = device.scopes
        if device.volts is not None:
            found[VOLTAGE] = device.volts
            found[CURRENT] = found[TOTAL] / device.volts
        for counter, power in device.energies.items():
            found[counter] = model.energy_j(self._counter_start_ns, ts_ns, *device.powers_w[power])
        found.update((name, low + (high - low) * heat) for name, (low, high) in device.temps_c.items())
        found.update((name, low + (high - low) * load) for name, (low, high) in device.levels.items())
        return {**found, **device.fixed}
