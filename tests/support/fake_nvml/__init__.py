"""A libnvidia-ml.so.1 that is compiled for the test and answers from a table; how is told in nvml.c.

nvml = FakeNvml(folder)                      # builds the library into the folder
nvml.gpu(0, power_w=250.0, temp_c=61)        # there is a GPU now; a running program sees the change
start("telemetryd", **nvml.env)              # env: LD_LIBRARY_PATH
nvml.answer(0, "nvmlDeviceGetFanSpeed", NOT_SUPPORTED)
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).parent / "nvml.c"
SONAME = "libnvidia-ml.so.1"
VERSION = "535.183.01"

XID_BIT = 8


def error(code: int) -> str:
    """Return what stands in the table for a call that returns a code."""
    return f"!{code}"


HANG = "hang"
NOT_SUPPORTED = error(3)

_NUMBERS: dict[str, tuple[tuple[str, float], ...]] = {
    "power_w": (("nvmlDeviceGetPowerUsage", 1e3), ("field.186", 1e3)),
    "power_avg_w": (("field.185", 1e3),),
    "power_limit_w": (("nvmlDeviceGetEnforcedPowerLimit", 1e3), ("field.189", 1e3)),
    "energy_j": (("nvmlDeviceGetTotalEnergyConsumption", 1e3), ("field.83", 1e3)),
    "temp_c": (("nvmlDeviceGetTemperature.0", 1),),
    "mem_temp_c": (("field.82", 1),),
    "graphics_clock_mhz": (("nvmlDeviceGetClockInfo.0", 1),),
    "sm_clock_mhz": (("nvmlDeviceGetClockInfo.1", 1),),
    "mem_clock_mhz": (("nvmlDeviceGetClockInfo.2", 1),),
    "video_clock_mhz": (("nvmlDeviceGetClockInfo.3", 1),),
    "fan_pct": (("nvmlDeviceGetFanSpeed", 1),),
    "pstate": (("nvmlDeviceGetPerformanceState", 1),),
    "throttle_reasons": (("nvmlDeviceGetCurrentClocksEventReasons", 1),),
    "pcie_tx_kib_s": (("nvmlDeviceGetPcieThroughput.0", 1),),
    "pcie_rx_kib_s": (("nvmlDeviceGetPcieThroughput.1", 1),),
    "enc_util": (("nvmlDeviceGetEncoderUtilization", 1),),
    "dec_util": (("nvmlDeviceGetDecoderUtilization", 1),),
    "gpu_util": (("nvmlDeviceGetUtilizationRates", 1),),
}
"""The key that telemetryd writes, and the calls that answer it with their unit's factor."""

DEFAULTS = {
    "power_w": 120.0,
    "power_avg_w": 118.5,
    "power_limit_w": 350.0,
    "energy_j": 5000.0,
    "temp_c": 61.0,
    "mem_temp_c": 70.0,
    "graphics_clock_mhz": 1980.0,
    "sm_clock_mhz": 1965.0,
    "mem_clock_mhz": 9501.0,
    "video_clock_mhz": 1770.0,
    "fan_pct": 41.0,
    "pstate": 2.0,
    "throttle_reasons": 4.0,
    "pcie_tx_kib_s": 2048.0,
    "pcie_rx_kib_s": 4096.0,
    "enc_util": 12.0,
    "dec_util": 7.0,
    "gpu_util": 85.0,
}

GIB = 1 << 30


class FakeNvml:
    """A folder with the library and its table.

    ``without`` are functions that the library does not have. Without ``note_calls`` it answers as fast as it can.
    """

    def __init__(
        self, folder: Path, *, version: str = VERSION, without: Sequence[str] = (), note_calls: bool = True
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.library = folder / SONAME
        self._table = folder / "nvml.table"
        self._calls = folder / "nvml.table.calls"
        self._lines: dict[tuple[str, str], str] = {}
        self.install(version, without)
        if note_calls:
            self._calls.touch()
        self._write()

    @property
    def env(self) -> dict[str, str]:
        """What makes a program find the library."""
        return {"LD_LIBRARY_PATH": str(self.folder)}

    def install(self, version: str = VERSION, without: Sequence[str] = ()) -> None:
        """Build the library and put it in the place of the one that is there, as an upgrade does."""
        exports = self.folder / "exports"
        exports.write_text("\n".join(["{ global: *; local:", *(f"{name};" for name in without), "};"]))
        new = self.folder / "new.so"
        hidden = [f"-Wl,--version-script={exports}"] if without else []
        build = ["gcc", "-shared", "-fPIC", "-O1", f'-DVERSION="{version}"', f"-Wl,-soname,{SONAME}", *hidden]
        subprocess.run([*build, "-o", str(new), str(SOURCE), "-ldl", "-pthread"], check=True)
        new.replace(self.library)

    def uninstall(self) -> None:
        """Take the library away; a program that has it open keeps it."""
        self.library.unlink()

    def gpu(self, slot: int, uuid: str | None = None, *, name: str = "NVIDIA Fake", **values: float) -> str:
        """Let there be a GPU, or change the values of one (keys as in ``DEFAULTS``); return its UUID."""
        uuid = uuid or self._lines.get((str(slot), "uuid")) or f"GPU-fa4e0000-0000-4000-8000-00000000000{slot}"
        is_new = (str(slot), "uuid") not in self._lines
        if is_new:
            self._introduce(slot, name)
        self._lines[str(slot), "uuid"] = uuid
        for key, value in {**(DEFAULTS if is_new else {}), **values}.items():
            for call, factor in _NUMBERS[key]:
                second = " 40" if call == "nvmlDeviceGetUtilizationRates" else ""
                self._lines[str(slot), call] = f"{round(value * factor)}{second}"
        self._write()
        return uuid

    def energy_runs(self, slot: int, energy_j: float, power_w: float) -> None:
        """Let the energy counter stand at a value now and rise by a power from here on."""
        now_s = int(time.clock_gettime(time.CLOCK_BOOTTIME))
        for call, factor in _NUMBERS["energy_j"]:
            self._lines[str(slot), call] = f"{round(energy_j * factor)}+{round(power_w * factor)}@{now_s}"
        self._write()

    def answer(self, slot: int | str, call: str, text: str | int) -> None:
        """Let a call (``*`` as the slot: one that concerns no GPU) answer numbers, an ``error`` or HANG."""
        self._lines[str(slot), call] = str(text)
        self._write()

    def forget(self, slot: int | str, call: str) -> None:
        """Take a line out of the table."""
        del self._lines[str(slot), call]
        self._write()

    def lose(self, slot: int, code: int = 15) -> None:
        """Let every call on a GPU return a code, GPU_IS_LOST by default."""
        self.answer(slot, "lost", code)

    def bring_back(self, slot: int) -> None:
        """End what ``lose`` began."""
        self.forget(slot, "lost")

    def remove(self, slot: int) -> None:
        """Let there be no such GPU any more."""
        self._lines = {line: text for line, text in self._lines.items() if line[0] != str(slot)}
        self._write()

    def xid(self, slot: int, code: int) -> None:
        """Let a GPU report an error."""
        self.answer(slot, "xid", f"{self._lines.get((str(slot), 'xid'), '')} {code}".strip())

    def reload_driver(self) -> None:
        """Load the driver anew: whoever began before is not initialised any more."""
        self.answer("*", "driver", int(self._lines.get(("*", "driver"), "1")) + 1)

    def upgrade_kernel(self, version: str) -> None:
        """Load a driver of another version, which a library of this version does not fit."""
        self.answer("*", "kernel", version)

    def calls(self, function: str) -> list[str]:
        """Return the slots on which a function was called so far."""
        rows = [line.split(" ") for line in self._calls.read_text().splitlines()]
        return [slot for name, slot in rows if name == function]

    def violations(self) -> list[str]:
        """Return what no program may do and this one did."""
        return [line for line in self._calls.read_text().splitlines() if line.startswith("VIOLATION")]

    def _introduce(self, slot: int, name: str) -> None:
        memory = f"{24 * GIB} {GIB // 2} {10 * GIB} {27 * GIB // 2}"
        self._lines.update(
            {
                (str(slot), "name"): name,
                (str(slot), "pci"): f"00000000:{slot + 1:02X}:00.0",
                (str(slot), "vbios"): "95.02.18.80.5F",
                (str(slot), "nvmlDeviceGetMemoryInfo_v2"): memory,
                (str(slot), "nvmlDeviceGetMemoryInfo"): f"{24 * GIB} {10 * GIB} {14 * GIB}",
                (str(slot), "nvmlDeviceGetCudaComputeCapability"): "8 9",
                (str(slot), "nvmlDeviceGetSupportedEventTypes"): str(XID_BIT),
            }
        )

    def _write(self) -> None:
        text = "".join(f"{scope} {key} {value}\n" for (scope, key), value in self._lines.items())
        new = self._table.with_suffix(".new")
        new.write_text(text)
        new.replace(self._table)
