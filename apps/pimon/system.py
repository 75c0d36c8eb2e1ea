"""The machine as a whole, from /proc and /sys, and from the firmware of a Raspberry Pi what these do not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from benchlab.chips import pmic
from benchlab.daemon import Absent, Transient
from benchlab.host.cpu import CpuFrequency, CpuUsage, LoadAverage
from benchlab.host.disk import Disks
from benchlab.host.hwmon import Hwmon
from benchlab.host.identity import device_tree, host_facts
from benchlab.host.memory import Memory, MemoryInfo
from benchlab.host.net import NetDevices
from benchlab.host.procfile import ProcFile
from benchlab.host.thermal import ThermalZones
from pimon import firmware
from pimon.desk import Desk
from pimon.mounts import Mounts
from pimon.snapshot import Core, Disk, Hardware, Interface, Rail, SystemSample
from pimon.sockets import connections, wifi_signals_dbm

T = TypeVar("T")

_CPU_ZONES = ("cpu-thermal", "cpu_thermal", "x86_pkg_temp", "soc-thermal", "soc_thermal", "cpu", "soc", "package")
_GPU_ZONES = ("gpu-thermal", "gpu_thermal", "gpu")
_CPU_CHIPS = {"coretemp": "Package id 0", "k10temp": "Tctl", "zenpower": "Tdie"}
"""Drivers of processors that are no thermal zone, and what they call the sensor of the whole."""

_THROTTLED = "sys/devices/platform/soc*/*firmware/get_throttled"


class SystemReader:
    """Reads the machine under ``root``. ``now_ns`` is the time that times of boot and start refer to."""

    def __init__(self, root: Path, now_ns: Callable[[], int], vcgencmd: Sequence[str] | None = None) -> None:
        self._root = root
        self._now_ns = now_ns
        self._usage = CpuUsage(root)
        self._frequency = CpuFrequency(root)
        self._load = LoadAverage(root)
        self._memory = MemoryInfo(root)
        self._disks = Disks(root)
        self._net = NetDevices(root)
        self._zones = ThermalZones(root)
        self._chips = Hwmon(root)
        self._uptime = ProcFile(root, "proc/uptime")
        self._mounts = Mounts(root)
        self._desk = Desk(root)
        self._throttled = next(iter(sorted(root.glob(_THROTTLED))), None)
        self._model = device_tree(root, "model") or ""
        self._firmware = firmware.firmware_of(root, self._model, vcgencmd, self._throttled is not None)
        self._why: list[str] = []
        self._boot_time_s: float | None = None
        self.memory_b: int | None = None

    @cached_property
    def hardware(self) -> Hardware:
        """What the machine is, asked once."""
        board = self._model or host_facts(self._root).get("motherboard")
        version = self._firmware.once("version") if self._firmware else None
        return Hardware(
            board, device_tree(self._root, "serial-number"), version.splitlines()[0].strip() if version else None
        )

    def read(self) -> SystemSample:
        """Return the machine now; what it does not tell is None."""
        self._why = []
        told = self._firmware
        if told is not None:
            told.update()
        answers = told.answers if told is not None else {}
        usage = self._known(self._usage.read)
        cores = usage.online if usage else ()
        clocks = self._known(lambda: self._frequency.read(cores)) or {}
        load = self._known(self._load.read) or (None, None, None)
        memory = self.memory()
        zones = self._zones.read()
        cpu_temp_c = _first(zones, _CPU_ZONES)
        if cpu_temp_c is None:
            cpu_temp_c = self._chip_temp_c()
        rails, output_w = self._rails(answers)
        uptime_s = self._known(self._read_uptime)
        if told is not None:
            self._why += dict.fromkeys(told.why.values())
        return SystemSample(
            cpu_temp_c=cpu_temp_c,
            cpu_freq_mhz=round(sum(clocks.values()) / len(clocks), 3) if clocks else None,
            cpu_util_pct=_rounded(usage.total if usage else None),
            cores=tuple(
                Core(n, _rounded(usage.cores.get(n) if usage else None), _rounded(clocks.get(n))) for n in cores
            ),
            load1=load[0],
            load5=load[1],
            load15=load[2],
            mem_total_b=memory.total_b if memory else None,
            mem_available_b=memory.available_b if memory else None,
            mem_used_b=memory.used_b if memory else None,
            mem_free_b=memory.free_b if memory else None,
            swap_total_b=memory.swap_total_b if memory else None,
            swap_used_b=memory.swap_used_b if memory else None,
            filesystems=self._known(self._mounts.read) or (),
            disks=self._read_disks(),
            gpu_temp_c=cpu_temp_c if self._is_pi else _first(zones, _GPU_ZONES),
            gpu_mem_b=firmware.memory_b(answers, "gpu"),
            arm_mem_b=firmware.memory_b(answers, "arm"),
            clocks=firmware.clocks(answers),
            voltages=firmware.voltages(answers),
            throttled_flags=self._read_throttled(answers),
            rails=rails,
            pmic_output_w=output_w,
            interfaces=self._read_interfaces(),
            connections=connections(self._root),
            usb_devices=self._desk.usb_devices(),
            governor=self._desk.governor(),
            brightness_pct=self._desk.brightness_pct(),
            uptime_s=uptime_s,
            boot_time_s=self._boot_time_s,
            why="; ".join(self._why) or None,
        )

    def memory(self) -> Memory | None:
        """Return the memory now."""
        memory = self._known(self._memory.read)
        if memory is not None:
            self.memory_b = memory.total_b
        return memory

    def boot_time_s(self) -> float:
        """Return when the machine was started, in epoch seconds. Raises Absent or Transient."""
        if self._boot_time_s is None:
            self._read_uptime()
        return self._boot_time_s or 0.0

    @property
    def _is_pi(self) -> bool:
        """Whether the processor's temperature is also that of its graphics: a Pi has one sensor for both."""
        return "Raspberry Pi" in self._model

    def _known(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Absent:
            return None
        except Transient as error:
            self._why.append(str(error))
            return None

    def _read_uptime(self) -> float:
        data = self._uptime.read()
        try:
            uptime_s = float(data.split()[0])
        except (ValueError, IndexError):
            raise self._uptime.garbage(data, "seconds since the start") from None
        boot_time_s = self._now_ns() / 1e9 - uptime_s
        if self._boot_time_s is None or abs(boot_time_s - self._boot_time_s) > 1.0:  # or a process would start anew
            self._boot_time_s = round(boot_time_s, 2)
        return uptime_s

    def _chip_temp_c(self) -> float | None:
        for chip in self._known(self._chips.read) or ():
            label = _CPU_CHIPS.get(chip.name)
            for sensor in chip.sensors if label else ():
                if sensor.quantity == "temp_c" and sensor.label == label:
                    return sensor.value
        return None

    def _read_disks(self) -> tuple[Disk, ...]:
        found = self._known(self._disks.read) or {}
        return tuple(
            Disk(
                name,
                disk.reads,
                disk.writes,
                disk.read_b,
                disk.write_b,
                _rounded(disk.read_b_s),
                _rounded(disk.write_b_s),
                _rounded(disk.busy),
            )
            for name, disk in found.items()
        )

    def _read_interfaces(self) -> tuple[Interface, ...]:
        found = self._known(self._net.read) or {}
        signals = wifi_signals_dbm(self._root) if found else {}
        return tuple(
            Interface(
                name,
                **each.counters,
                rx_b_s=_rounded(each.rates.get("rx_bytes")),
                tx_b_s=_rounded(each.rates.get("tx_bytes")),
                signal_dbm=signals.get(name),
            )
            for name, each in found.items()
        )

    def _read_throttled(self, answers: dict[str, str]) -> int | None:
        if self._throttled is None:
            return firmware.throttled(answers)
        text = ""
        try:
            text = self._throttled.read_text(encoding="ascii", errors="replace").strip()
            return int(text, 16)
        except OSError as error:
            self._why.append(f"{self._throttled}: {error.strerror}")
        except ValueError:
            self._why.append(f"{self._throttled}: found {text!r:.40}, expected a hexadecimal number")
        return None

    def _rails(self, answers: dict[str, str]) -> tuple[tuple[Rail, ...], float | None]:
        if firmware.PMIC not in answers:
            return (), None
        try:
            found = pmic.parse(answers[firmware.PMIC])
        except ValueError as error:
            self._why.append(f"{firmware.PMIC}: {error}")
            return (), None
        names = dict.fromkeys([*found.volts, *found.amperes])
        powers_w = found.powers_w
        rails = (Rail(n, found.volts.get(n), found.amperes.get(n), _watts(powers_w.get(n))) for n in names)
        return tuple(rails), _watts(found.output_w)


def _first(zones: dict[str, float], names: Sequence[str]) -> float | None:
    return next((zones[name] for name in names if name in zones), None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _watts(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
