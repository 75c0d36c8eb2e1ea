"""What one tick of pimon finds. Only the standard library is needed to read it.

A tick becomes up to three events with one ``ts_ns``: ``pi.system``, ``pi.battery``, ``pi.processes``. The keys of an
event are the names of the fields below that have a value; a field that is None, and a table without a row, is left
out of the event: missing is not zero. A tuple of rows is a table whose columns are the fields of its row:

- ``pi.system``: the fields of SystemSample; tables ``cores``, ``filesystems``, ``disks``, ``clocks``, ``voltages``,
  ``rails``, ``interfaces``.
- ``pi.battery``: the fields of BatterySample; table ``batteries``, with one row for each of them.
- ``pi.processes``: one table, ``processes``, the busiest first.

Units are in the names: ``_c`` °C, ``_b`` bytes, ``_b_s`` bytes a second, ``_pct`` percent, ``_s`` seconds.
A signed current or power is negative while the battery discharges, positive while it is charged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Protocol

UNDER_VOLTAGE, FREQ_CAPPED, THROTTLED, SOFT_TEMP_LIMIT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
"""Bits of ``throttled_flags`` that hold now; shifted by SINCE_BOOT, those that have held since the firmware started."""
SINCE_BOOT = 16


@dataclass(frozen=True)
class Core:
    """A processor core that is online. ``util_pct`` is that since the sample before."""

    core: int
    util_pct: float | None = None
    freq_mhz: float | None = None


@dataclass(frozen=True)
class Filesystem:
    """A mounted file system on a disk. ``free_b`` is what users may still write."""

    mountpoint: str
    device: str
    kind: str
    total_b: int
    used_b: int
    free_b: int


@dataclass(frozen=True)
class Disk:
    """A whole disk: counts since boot, and rates since the sample before."""

    disk: str
    reads: int
    writes: int
    read_b: int
    write_b: int
    read_b_s: float | None = None
    write_b_s: float | None = None
    busy_pct: float | None = None


@dataclass(frozen=True)
class Clock:
    """A clock as the firmware measures it: arm, core, v3d or sdram."""

    clock: str
    freq_hz: int


@dataclass(frozen=True)
class Voltage:
    """A voltage that the firmware asks for: core, sdram_c, sdram_i or sdram_p. A Pi 5 measures others: Rail."""

    rail: str
    voltage_v: float


@dataclass(frozen=True)
class Rail:
    """A rail of the power chip of a Pi 5; EXT5V and BATT have no current."""

    rail: str
    voltage_v: float | None = None
    current_a: float | None = None
    power_w: float | None = None


@dataclass(frozen=True)
class Interface:
    """A network interface that has carried something: counts since boot, rates since the sample before."""

    interface: str
    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int
    rx_b_s: float | None = None
    tx_b_s: float | None = None
    signal_dbm: float | None = None


@dataclass(frozen=True)
class Hardware:
    """What the machine is; it is looked up once. Of the firmware's text only the first line is kept."""

    model: str | None = None
    serial: str | None = None
    firmware: str | None = None


@dataclass(frozen=True)
class SystemSample:
    """The machine as a whole. ``cpu_util_pct`` is that of all cores since the sample before; None on the first.

    ``pmic_output_w`` is what the power chip of a Pi 5 delivers, which is less than the board takes in.
    ``connections`` is how many TCP sockets are in use, all states but waiting ones. ``boot_time_s`` is epoch seconds.
    ``why`` names what could not be read and what was found there.
    """

    cpu_temp_c: float | None = None
    cpu_freq_mhz: float | None = None
    cpu_util_pct: float | None = None
    cores: tuple[Core, ...] = ()
    load1: float | None = None
    load5: float | None = None
    load15: float | None = None
    mem_total_b: int | None = None
    mem_available_b: int | None = None
    mem_used_b: int | None = None
    mem_free_b: int | None = None
    swap_total_b: int | None = None
    swap_used_b: int | None = None
    filesystems: tuple[Filesystem, ...] = ()
    disks: tuple[Disk, ...] = ()
    gpu_temp_c: float | None = None
    gpu_mem_b: int | None = None
    arm_mem_b: int | None = None
    clocks: tuple[Clock, ...] = ()
    voltages: tuple[Voltage, ...] = ()
    throttled_flags: int | None = None
    rails: tuple[Rail, ...] = ()
    pmic_output_w: float | None = None
    interfaces: tuple[Interface, ...] = ()
    connections: int | None = None
    usb_devices: int | None = None
    governor: str | None = None
    brightness_pct: float | None = None
    uptime_s: float | None = None
    boot_time_s: float | None = None
    why: str | None = None


@dataclass(frozen=True)
class Battery:
    """One battery, or one meter in a battery's line. ``*_raw_*`` is what the driver said, with its sign."""

    battery: str
    status: str | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    power_w: float | None = None
    capacity_pct: float | None = None
    current_raw_a: float | None = None
    power_raw_w: float | None = None
    energy_wh: float | None = None
    charge_ah: float | None = None


@dataclass(frozen=True)
class BatterySample:
    """The battery that the machine has; of several, what is true of them together.

    With several, ``power_w`` is their sum and ``capacity_pct`` their mean weighted by size, or plain where that is not
    known; voltage and current are those of one battery only, so that they are None. ``status`` is Discharging if one
    of them is. ``why`` names what could not be read and what was found there.
    """

    status: str | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    power_w: float | None = None
    capacity_pct: float | None = None
    why: str | None = None
    batteries: tuple[Battery, ...] = ()


@dataclass(frozen=True)
class Process:
    """One process. (``pid``, ``start_time_s``) tells it from all others; ``start_time_s`` is epoch seconds.

    ``cpu_pct`` is percent of one core since the sample before, so that it may exceed 100, and on the first sample
    that over 0.1 s; ``mem_pct`` is percent of the memory. Either is None where it is not known. ``command_line`` is
    there only if it was asked for: it may hold secrets. ``user`` is not in the event.
    """

    pid: int
    name: str
    start_time_s: float
    cpu_pct: float | None = None
    mem_pct: float | None = None
    command_line: str | None = None
    user: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """One tick. ``battery`` is None where there is none, ``battery_why`` then says why."""

    ts_ns: int
    system: SystemSample
    battery: BatterySample | None
    processes: tuple[Process, ...]
    battery_why: str = ""


class Sampler(Protocol):
    """Takes samples of one machine; ``pimon.sampler.sampler_of(options)`` makes one.

    Rates and shares are those since the same sampler was asked before: each user has one of their own. Not for use by
    several threads at once.
    """

    is_simulated: bool

    @property
    def hardware(self) -> Hardware:
        """What the machine is."""
        ...

    def system(self) -> SystemSample:
        """Return the machine now; what it does not tell is None. Never raises Absent or Transient."""
        ...

    def battery(self) -> BatterySample:
        """Return the battery now. Raises Absent or Transient (benchlab.daemon)."""
        ...

    def processes(self, top: int | None = None) -> tuple[Process, ...]:
        """Return the busiest processes, as many as its options say, or ``top``."""
        ...

    def sample(self) -> Snapshot:
        """Return one tick of all three. Never raises Absent or Transient."""
        ...


def event_kv(sample: Any, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the keys and values of an event for a sample: its fields with a value, tuples of rows as tables."""
    kv: dict[str, Any] = {}
    for field in fields(sample):
        value = getattr(sample, field.name)
        if value is None or value == () or field.name in leave_out:
            continue
        if isinstance(value, tuple):
            kv[field.name] = [event_kv(row, leave_out) if is_dataclass(row) else row for row in value]
        else:
            kv[field.name] = value
    return kv
