"""A Raspberry Pi that is made up: on a battery, under workloads that come and go.

Its load is that of all simulators. For two minutes and forty seconds at a time it is one kind of work's, which has its
own programs and its own hunger for power beside the processor's; so power cannot be told from the load alone. The
battery is discharged for four hours by what is drawn, then charged for two, and so on from the start of the session.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchlab.daemon import Absent
from benchlab.sim import LOAD_STEP_S, NS, SEED, Chance, LoadModel
from pimon.snapshot import (
    Battery,
    BatterySample,
    Clock,
    Core,
    Disk,
    Filesystem,
    Hardware,
    Interface,
    Process,
    Snapshot,
    SystemSample,
    Voltage,
)

CAPACITY_WH = 37.0
FULL_PCT = 98.0
DISCHARGE_S, CHARGE_S = 4 * 3600, 2 * 3600
STEP_NS = round(LOAD_STEP_S * NS)
STEPS_OF_A_KIND = 8

CORES = 4
_BOARD_W = 2.3
_PROCESSOR_W = 3.6
_BACKLIGHT_W = 1.1
_NOISE = 0.012
_INNER_OHMS = 0.06
_SLOWEST_MHZ, _FASTEST_MHZ = 600, 1800
_GIB = 1 << 30
_MEMORY_B = 4 * _GIB
_HARDWARE = Hardware("Raspberry Pi 4 Model B (simulated)", "100000005eed5eed", "Mar 17 2025 15:37:00 (simulated)")
_BACKGROUND = (("systemd", 0.1), ("pimon", 0.3), ("Xorg", 1.4), ("wpa_supplicant", 0.1), ("kworker/0:1", 0.2))


@dataclass(frozen=True)
class Work:
    """A kind of work: how much of the load it makes, what it draws beside the processor, who does it, how bright."""

    name: str
    share: float
    extra_w: float
    v3d_mhz: int
    programs: tuple[tuple[str, float], ...]
    brightness_pct: float


WORKS = (
    Work("idle", 0.06, 0.0, 250, (("lxpanel", 1.0),), 10.0),
    Work("office", 0.35, 0.1, 250, (("soffice.bin", 0.7), ("lxpanel", 0.3)), 60.0),
    Work("web", 0.6, 0.35, 400, (("chromium", 0.8), ("pulseaudio", 0.2)), 80.0),
    Work("video", 0.3, 0.75, 500, (("vlc", 0.9), ("pulseaudio", 0.1)), 100.0),
    Work("compile", 1.0, 0.1, 250, (("cc1plus", 0.85), ("make", 0.1), ("ld", 0.05)), 40.0),
    Work("game", 0.85, 1.3, 500, (("minetest", 0.95), ("pulseaudio", 0.05)), 100.0),
    Work("backup", 0.45, 0.9, 250, (("rsync", 0.6), ("sshd", 0.4)), 10.0),
)


class SimulatedSampler:
    """Samples of it; all of them are functions of the time, so that a restarted one goes on where it was."""

    is_simulated = True

    def __init__(
        self, load: LoadModel, now_ns: Callable[[], int], starts_ns: int, top_procs: int, has_battery: bool = True
    ) -> None:
        self._load = load
        self._now_ns = now_ns
        self._start_ns = starts_ns // STEP_NS * STEP_NS
        self._top_procs = top_procs
        self._has_battery = has_battery
        self._chance = Chance(SEED, "pimon")
        self._drawn: tuple[int, list[float]] = (-1, [])

    @property
    def hardware(self) -> Hardware:
        """What it says it is."""
        return _HARDWARE

    def work(self, ts_ns: int) -> Work:
        """Return the kind of work at a time."""
        block = ts_ns // (STEP_NS * STEPS_OF_A_KIND)
        return WORKS[int(self._chance.uniform(block) * len(WORKS))]

    def busy(self, ts_ns: int) -> float:
        """Return how busy the processor is, from 0 to 1."""
        return 0.02 + 0.96 * self._load.load(ts_ns) * self.work(ts_ns).share

    def power_w(self, ts_ns: int) -> float:
        """Return what the machine draws: the board, its processor by clock and use, its screen, the work's devices."""
        busy, work = self.busy(ts_ns), self.work(ts_ns)
        clock = self._mhz(busy) / _FASTEST_MHZ
        screen_w = _BACKLIGHT_W * work.brightness_pct / 100.0
        return _BOARD_W + _PROCESSOR_W * busy * clock * clock + screen_w + work.extra_w

    def system(self) -> SystemSample:
        """Return the machine now."""
        return self._system(self._now_ns())

    def battery(self) -> BatterySample:
        """Return the battery now. Raises Absent if there is none."""
        return self._battery(self._now_ns())

    def processes(self, top: int | None = None) -> tuple[Process, ...]:
        """Return the busiest processes."""
        return self._processes(self._now_ns(), self._top_procs if top is None else top)

    def sample(self) -> Snapshot:
        """Return one tick of all three."""
        ts_ns = self._now_ns()
        battery = self._battery(ts_ns) if self._has_battery else None
        why = "" if battery else "none was asked for"
        return Snapshot(ts_ns, self._system(ts_ns), battery, self._processes(ts_ns, self._top_procs), why)

    def _system(self, ts_ns: int) -> SystemSample:
        busy, work = self.busy(ts_ns), self.work(ts_ns)
        mhz = self._mhz(busy)
        temp_c = round(41.0 + 9.0 * work.extra_w + 26.0 * busy, 1)
        used_b = round(_GIB * (0.7 + 1.5 * busy))
        uptime_s = (ts_ns - self._start_ns) / NS
        return SystemSample(
            cpu_temp_c=temp_c,
            cpu_freq_mhz=float(mhz),
            cpu_util_pct=round(100.0 * busy, 2),
            cores=tuple(Core(n, self._core_pct(busy, n, ts_ns), float(mhz)) for n in range(CORES)),
            load1=self._load_average(ts_ns, 60.0),
            load5=self._load_average(ts_ns, 300.0),
            load15=self._load_average(ts_ns, 900.0),
            mem_total_b=_MEMORY_B,
            mem_available_b=_MEMORY_B - used_b,
            mem_used_b=used_b,
            mem_free_b=(_MEMORY_B - used_b) // 2,
            swap_total_b=_GIB // 10,
            swap_used_b=0,
            filesystems=(Filesystem("/", "/dev/mmcblk0p2", "ext4", 29 * _GIB, 8 * _GIB, 20 * _GIB),),
            disks=(self._disk(ts_ns),),
            gpu_temp_c=temp_c,
            gpu_mem_b=76 << 20,
            arm_mem_b=948 << 20,
            clocks=self._clocks(mhz, work),
            voltages=(Voltage("core", round(0.80 + 0.08 * mhz / _FASTEST_MHZ, 4)),),
            throttled_flags=0,
            interfaces=(self._cable(ts_ns), self._radio(ts_ns)),
            connections=6,
            usb_devices=3,
            governor="ondemand",
            brightness_pct=work.brightness_pct,
            uptime_s=round(uptime_s, 2),
            boot_time_s=round(self._start_ns / NS, 2),
        )

    def _battery(self, ts_ns: int) -> BatterySample:
        if not self._has_battery:
            raise Absent("none was asked for")
        into_s, cycle = self._place(ts_ns)
        is_charging = into_s >= DISCHARGE_S
        if is_charging:
            drawn_j = self._drawn_j(cycle, DISCHARGE_S)
            signed_w = drawn_j / CHARGE_S
            drawn_j -= signed_w * (into_s - DISCHARGE_S)
        else:
            drawn_j = self._drawn_j(cycle, into_s)
            signed_w = -self.power_w(ts_ns) * (1.0 + _NOISE * self._chance.normal(ts_ns // 1_000_000, 1))
        capacity_pct = FULL_PCT - 100.0 * drawn_j / (CAPACITY_WH * 3600.0)
        open_v = 3.40 + 0.75 * capacity_pct / 100.0
        volts = round((open_v + math.sqrt(open_v * open_v + 4.0 * _INNER_OHMS * signed_w)) / 2.0, 3)
        amperes = round(signed_w / volts, 3)
        battery = Battery(
            battery="BAT0",
            status="Charging" if is_charging else "Discharging",
            voltage_v=volts,
            current_a=amperes,
            power_w=round(volts * amperes, 3),
            capacity_pct=round(capacity_pct, 2),
            current_raw_a=amperes,
            energy_wh=round(CAPACITY_WH * capacity_pct / 100.0, 3),
        )
        told = (battery.status, volts, amperes, battery.power_w, battery.capacity_pct)
        return BatterySample(*told, batteries=(battery,))

    def _processes(self, ts_ns: int, top: int) -> tuple[Process, ...]:
        work = self.work(ts_ns)
        whole = 100.0 * CORES * self.busy(ts_ns)
        shares = [*_BACKGROUND, *((name, share * max(0.0, whole - 2.1)) for name, share in work.programs)]
        pids = {name: pid for pid, name in enumerate(dict.fromkeys(name for w in WORKS for name, _ in w.programs), 900)}
        start_s = round(self._start_ns / NS, 2)
        found = [
            Process(
                pids.get(name, 300 + place), name, start_s, round(share, 2), round(0.6 + share / 40.0, 3), user="pi"
            )
            for place, (name, share) in enumerate(shares)
        ]
        return tuple(sorted(found, key=lambda process: -process.cpu_pct)[:top])

    def _place(self, ts_ns: int) -> tuple[float, int]:
        """Return how far a cycle of the battery is at a time, in seconds, and which it is."""
        cycle, into_ns = divmod(ts_ns - self._start_ns, (DISCHARGE_S + CHARGE_S) * NS)
        return into_ns / NS, cycle

    def _drawn_j(self, cycle: int, into_s: float) -> float:
        """Return what was drawn from the battery since the start of a cycle: the exact integral of the power."""
        first_ns = self._start_ns + cycle * (DISCHARGE_S + CHARGE_S) * NS
        if self._drawn[0] != cycle:
            self._drawn = (cycle, [0.0])
        sums = self._drawn[1]
        whole, rest_s = divmod(into_s, LOAD_STEP_S)
        while len(sums) <= whole:
            sums.append(sums[-1] + self.power_w(first_ns + (len(sums) - 1) * STEP_NS) * LOAD_STEP_S)
        return sums[int(whole)] + self.power_w(first_ns + int(whole) * STEP_NS) * rest_s

    def _mhz(self, busy: float) -> int:
        return _SLOWEST_MHZ + round((_FASTEST_MHZ - _SLOWEST_MHZ) * min(1.0, 1.6 * busy) / 100.0) * 100

    def _core_pct(self, busy: float, core: int, ts_ns: int) -> float:
        spread = 0.2 * (core - (CORES - 1) / 2.0) * min(busy, 1.0 - busy)
        return round(100.0 * (busy + spread), 2)

    def _load_average(self, ts_ns: int, tau_s: float) -> float:
        return round(CORES * self._load.heat(ts_ns, tau_s), 2)

    def _clocks(self, mhz: int, work: Work) -> tuple[Clock, ...]:
        told_hz = {"arm": mhz * 10**6, "core": 500_000_992, "v3d": work.v3d_mhz * 10**6, "sdram": 400_000_000}
        return tuple(Clock(name, freq_hz) for name, freq_hz in told_hz.items())

    def _cable(self, ts_ns: int) -> Interface:
        return self._interface(ts_ns, "eth0", (20.0, 2e3), (10.0, 1e3))

    def _radio(self, ts_ns: int) -> Interface:
        signal_dbm = -55.0 + round(2.0 * self._chance.normal(ts_ns // NS, 2))
        return replace(self._interface(ts_ns, "wlan0", (2e3, 3e5), (1e3, 4e4)), signal_dbm=signal_dbm)

    def _interface(self, ts_ns: int, name: str, rx: tuple[float, float], tx: tuple[float, float]) -> Interface:
        """Return what it carries, which is so much in bytes a second when idle, and when the load is full."""
        rx_bytes, tx_bytes = self._counted(ts_ns, *rx), self._counted(ts_ns, *tx)
        rates = [round(self._load.power_w(ts_ns, *span), 2) for span in (rx, tx)]
        return Interface(name, rx_bytes, tx_bytes, rx_bytes // 900, tx_bytes // 300, 0, 0, 0, 0, *rates)

    def _disk(self, ts_ns: int) -> Disk:
        read_b, write_b = self._counted(ts_ns, 1e3, 2e5), self._counted(ts_ns, 4e3, 9e4)
        rates = [round(self._load.power_w(ts_ns, *span), 2) for span in ((1e3, 2e5), (4e3, 9e4))]
        busy_pct = round(40.0 * self.busy(ts_ns), 2)
        return Disk("mmcblk0", read_b // 16384, write_b // 8192, read_b, write_b, rates[0], rates[1], busy_pct)

    def _counted(self, ts_ns: int, idle_b_s: float, full_b_s: float) -> int:
        return int(self._load.energy_j(self._start_ns, ts_ns, idle_b_s, full_b_s))
