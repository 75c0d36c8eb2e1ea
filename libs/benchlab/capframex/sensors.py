"""The power part of the JSON: ``Pmd`` arrays on a uniform grid, and sensors with times of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchlab.capframex.grid import NS_PER_S, Cells, Grid, Uniform, cells_of, period_ms, shared_rows, uniform
from benchlab.capframex.power import Key, Recorded, Signal

GPU_NVML: Key = ("gpu.nvml", "power_w")
CPU_RAPL: Key = ("cpu.rapl", "package_w")
BENCHLAB_GPU: Key = ("benchlab.usb", "gpu_w")
BENCHLAB_CPU: Key = ("benchlab.usb", "cpu_w")

# A power meter on the rails sees more than a chip says of itself; the sensors are what chips say.
PMD: dict[str, tuple[Key, ...]] = {
    "PmdGpuPower": (BENCHLAB_GPU, GPU_NVML),
    "PmdCpuPower": (BENCHLAB_CPU, CPU_RAPL),
}

# CapFrameX finds a sensor by its type and a part of its name, so both are given.
SENSORS: tuple[tuple[str, str, str, tuple[Key, ...]], ...] = (
    ("gpu/power", "GPU Power", "Power", (GPU_NVML, BENCHLAB_GPU)),
    ("cpu/power", "CPU Package Power", "Power", (CPU_RAPL, BENCHLAB_CPU)),
    ("gpu/temperature", "GPU Core", "Temperature", (("gpu.nvml", "temp_c"),)),
    ("gpu/load", "GPU Core", "Load", (("gpu.nvml", "gpu_util"),)),
    ("cpu/load", "CPU Total", "Load", (("cpu.psutil", "cpu_util"),)),
    ("board/temperature", "Board", "Temperature", (("benchlab.usb", "temp_c"),)),
)
SYSTEM = "system/power"

_SENSOR_STEP_MS = 250


@dataclass
class Power:
    """What the JSON says of power, and what a reader has to know about it."""

    step_ms: int = 0
    arrays: dict[str, list[float]] = field(default_factory=dict)
    sensors: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    simulated: set[str] = field(default_factory=set)


def wanted(entries: Sequence[Sequence[Key]]) -> list[Key]:
    """Return every key the power part looks for."""
    keys = {key for entry in entries for key in entry}
    keys.update(key for choices in PMD.values() for key in choices)
    keys.update(key for *_, choices in SENSORS for key in choices)
    return sorted(keys)


def system_signal(recorded: Recorded, entries: Sequence[Sequence[Key]], used: str | None) -> Signal | None:
    """Return the power reference of the whole system: the one the frames name, else the first recorded.

    A reference that measures only GPUs is none: it stands in ``PmdGpuPower``.
    """
    found = [recorded.signal(entry) for entry in entries]
    whole = [s for s in found if s is not None and any(not p.source.startswith("gpu.") for p in s.parts)]
    return next((s for s in whole if s.name == used), whole[0] if whole else None)


def build(recorded: Recorded, system: Signal | None, start_ns: int, last_ns: int, max_gap_ns: int) -> Power:
    """Return arrays and sensors for a capture from its first to its last row."""
    power = Power()
    pmd = {name: _first(recorded, choices) for name, choices in PMD.items()}
    pmd["PmdSystemPower"] = system
    chosen = {name: signal for name, signal in pmd.items() if signal is not None}
    power.step_ms = period_ms(list(chosen.values()))
    if chosen:
        grid = Grid.over(start_ns, last_ns, power.step_ms * 1_000_000)
        for name, signal in chosen.items():
            _take(power, name, signal, uniform(cells_of(signal, grid, max_gap_ns), grid))
    step_ns = max(power.step_ms, _SENSOR_STEP_MS) * 1_000_000
    _add_sensors(power, recorded, system, Grid.over(start_ns, last_ns, step_ns), max_gap_ns)
    return power


def _first(recorded: Recorded, choices: Sequence[Key]) -> Signal | None:
    return next((signal for signal in (recorded.signal([key]) for key in choices) if signal is not None), None)


def _take(power: Power, name: str, signal: Signal, found: Uniform) -> None:
    power.arrays[name] = [round(value, 4) for value in found.values]
    if found.values:
        power.simulated.update(_simulated(signal))
        ends = f", up to a gap at {found.ends_s:.3f} s" if found.ends_s is not None else ""
        power.remarks.append(f"{name}: {signal.name}{ends}")
    elif found.begins_s is not None:
        power.remarks.append(
            f"{name} left out: {signal.name} begins {found.begins_s:.3f} s after the first row "
            f"(--from {found.begins_s:.3f} exports from there)"
        )


def _simulated(signal: Signal) -> set[str]:
    return {part.source for part in signal.parts if part.simulated}


def _add_sensors(power: Power, recorded: Recorded, system: Signal | None, grid: Grid, max_gap_ns: int) -> None:
    found: dict[str, tuple[str, str, Signal]] = {}
    for key, name, kind, choices in SENSORS:
        signal = _first(recorded, choices)
        if signal is not None:
            found[key] = (name, kind, signal if kind == "Power" else Signal(signal.name, signal.parts[:1]))
    if system is not None:
        found[SYSTEM] = ("System Power", "Power", system)
    columns = {key: cells_of(signal, grid, max_gap_ns) for key, (_, _, signal) in found.items()}
    rows, kept = shared_rows({key: cells for key, cells in columns.items() if cells})
    power.sensors = _times(rows or [0], grid)
    for key in kept:
        name, kind, signal = found[key]
        power.sensors[key] = _entry(name, kind, f"/benchlab/{key}", _values(columns[key], rows))
        power.simulated.update(_simulated(signal))
    left_out = [found[key][0] for key in columns if columns[key] and key not in kept]
    if left_out:
        power.remarks.append(f"sensors with too few values left out: {', '.join(left_out)}")


def _values(cells: Cells, rows: Sequence[int]) -> list[float]:
    return [round(cells[k], 4) for k in rows]


def _times(rows: Sequence[int], grid: Grid) -> dict[str, Any]:
    """Return the two sensors without which CapFrameX's averages read NaN.

    BetweenMeasureTime is what a value stands for, the step, even behind a gap: it weights the averages.
    """
    step_s = grid.step_ns / NS_PER_S
    return {
        "MeasureTime": _entry("MeasureTime", "Time", "MeasureTime", [round(k * step_s, 6) for k in rows]),
        "BetweenMeasureTime": _entry("BetweenMeasureTime", "Time", "BetweenMeasureTime", [step_s] * len(rows)),
    }


def _entry(name: str, kind: str, identifier: str, values: list[float]) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "StableIdentifier": identifier, "Values": values}
