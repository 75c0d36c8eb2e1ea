"""Samples of this machine, or of a recorded one; pimon.simulated has one that is made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from benchlab.chips.i2c import Bus, open_bus
from benchlab.chips.ina219 import SHUNT_OHMS
from benchlab.daemon import Absent, Transient
from benchlab.sim import LoadModel
from pimon.battery import MeterBattery, SupplyBattery, meter_of
from pimon.processes import Processes
from pimon.simulated import SimulatedSampler
from pimon.snapshot import BatterySample, Hardware, Process, Sampler, Snapshot, SystemSample
from pimon.supplies import AUTO, NONE
from pimon.system import SystemReader

TOP_PROCS = 10


@dataclass(frozen=True)
class Options:
    """What is sampled, and by which clock.

    ``power_supply`` is one of pimon.battery.EXPECTED; ``shunt_ohms`` and ``is_reversed`` are of a meter there.
    ``vcgencmd`` is asked in place of the firmware; with a ``load`` the machine is made up, and its battery was full
    at ``starts_ns``.
    """

    root: Path = Path("/")
    now_ns: Callable[[], int] = time_ns
    power_supply: str = AUTO
    shunt_ohms: float = SHUNT_OHMS
    is_reversed: bool = False
    top_procs: int = TOP_PROCS
    with_command_lines: bool = False
    vcgencmd: Sequence[str] | None = None
    open_bus: Callable[[int], Bus] = open_bus
    load: LoadModel | None = None
    starts_ns: int = 0


class HostSampler:
    """Samples of the machine under ``options.root``. Raises ValueError for a power supply that cannot be one."""

    is_simulated = False

    def __init__(self, options: Options) -> None:
        self._options = options
        self._system = SystemReader(options.root, options.now_ns, options.vcgencmd)
        self._battery = _battery(options)
        self._processes = Processes(
            options.root, boot_time_s=self._system.boot_time_s, with_command_lines=options.with_command_lines
        )

    @property
    def hardware(self) -> Hardware:
        """What the machine is."""
        return self._system.hardware

    def system(self) -> SystemSample:
        """Return the machine now."""
        return self._system.read()

    def battery(self) -> BatterySample:
        """Return the battery now. Raises Absent or Transient."""
        if self._battery is None:
            raise Absent("none was asked for")
        return self._battery.read()

    def processes(self, top: int | None = None) -> tuple[Process, ...]:
        """Return the busiest processes. Raises Absent or Transient."""
        if self._system.memory_b is None:
            self._system.memory()
        memory_b = self._system.memory_b
        if memory_b is None:
            raise Absent("the size of the memory is not known: /proc/meminfo does not tell")
        return self._processes.read(self._options.top_procs if top is None else top, memory_b)

    def sample(self) -> Snapshot:
        """Return one tick of all three."""
        return snapshot(self, self._options.now_ns)


def sampler_of(options: Options) -> Sampler:
    """Return what takes samples as the options say. Raises ValueError for a power supply that cannot be one."""
    if options.load is None:
        return HostSampler(options)
    meter_of(options.power_supply, options.shunt_ohms, options.is_reversed)
    has_battery = options.power_supply != NONE
    return SimulatedSampler(options.load, options.now_ns, options.starts_ns, options.top_procs, has_battery)


def snapshot(sampler: Sampler, now_ns: Callable[[], int]) -> Snapshot:
    """Return one tick of a sampler: the system first, because a firmware may take its time, then at once the rest."""
    system = sampler.system()
    ts_ns = now_ns()
    battery, why = None, ""
    try:
        battery = sampler.battery()
    except (Absent, Transient) as error:
        why = str(error)
    try:
        processes = sampler.processes()
    except (Absent, Transient):
        processes = ()
    return Snapshot(ts_ns, system, battery, processes, why)


def _battery(options: Options) -> SupplyBattery | MeterBattery | None:
    meter = meter_of(options.power_supply, options.shunt_ohms, options.is_reversed)
    if options.power_supply == NONE:
        return None
    if meter is not None:
        return MeterBattery(meter, options.open_bus)
    return SupplyBattery(options.root, options.power_supply)
