"""The questions NVML is asked about one GPU, each with the keys that its answer gives.

Source: nvml.h. A question takes the binding and the GPU's handle, and raises NVMLError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchlab.event import Scalar

Answer = Mapping[str, Scalar]
Question = Callable[[Any, Any], Answer]

MEMORY_TEMPERATURE, ENERGY, POWER_AVERAGE, POWER_INSTANT = 82, 83, 185, 186
POWER_MIN_LIMIT, POWER_MAX_LIMIT, POWER_DEFAULT_LIMIT = 187, 188, 189

_PSTATE_UNKNOWN = 32
_AVERAGED_FROM = (8, 1)
_MOST_MASK = 2**63


def watts(milliwatts: int) -> float:
    """Return as watts what NVML counts in milliwatts."""
    return round(milliwatts / 1e3, 3)


def joules(millijoules: int) -> float:
    """Return as joules what NVML counts in millijoules."""
    return round(millijoules / 1e3, 3)


Fields = Mapping[int, Callable[[int], Answer]]
"""Fields are asked in one call; every one has a return code of its own."""

FIELDS: Fields = {
    POWER_INSTANT: lambda value: {"power_w": watts(value)},
    ENERGY: lambda value: {"energy_j": joules(value)},
}
"""Asked at each sample."""

FIELDS_EACH_SECOND: Fields = {
    POWER_AVERAGE: lambda value: {"power_avg_w": watts(value)},
    # 0 is what boards answer whose memory has no sensor
    MEMORY_TEMPERATURE: lambda value: {"mem_temp_c": float(value)} if value else {},
}
"""Asked once a second: an average over just that time, and what moves slowly."""

LIMITS: Fields = {
    POWER_MIN_LIMIT: lambda value: {"power_limit_min_w": watts(value)},
    POWER_MAX_LIMIT: lambda value: {"power_limit_max_w": watts(value)},
    POWER_DEFAULT_LIMIT: lambda value: {"power_limit_default_w": watts(value)},
}
"""What a board can be set to does not change; what it is set to may."""


def power_usage(nvml: Any, gpu: Any) -> Answer:
    """Power where there is no field for it: an average over a second on most GPUs, see ``averages_power``."""
    return {"power_w": watts(nvml.nvmlDeviceGetPowerUsage(gpu))}


def total_energy(nvml: Any, gpu: Any) -> Answer:
    """Energy where there is no field for it."""
    return {"energy_j": joules(nvml.nvmlDeviceGetTotalEnergyConsumption(gpu))}


def utilisation(nvml: Any, gpu: Any) -> Answer:
    """Shares of time over the driver's own window, 1/6 to 1 s. In MIG mode not supported."""
    rates = nvml.nvmlDeviceGetUtilizationRates(gpu)
    return {"gpu_util": rates.gpu, "mem_util": rates.memory}


def memory(nvml: Any, gpu: Any) -> Answer:
    """Memory, with what the driver reserves told apart."""
    found = nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2)
    return {"gpu_mem_used": found.used, "gpu_mem_total": found.total, "gpu_mem_reserved": found.reserved}


def memory_v1(nvml: Any, gpu: Any) -> Answer:
    """Memory by older drivers, which count what they reserve as used."""
    found = nvml.nvmlDeviceGetMemoryInfo(gpu)
    return {"gpu_mem_used": found.used, "gpu_mem_total": found.total}


def temperature(nvml: Any, gpu: Any) -> Answer:
    """Temperature of the core, in whole degrees."""
    return {"temp_c": float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))}


def clocks_event_reasons(nvml: Any, gpu: Any) -> Answer:
    """Bit mask of what holds the clocks down."""
    return _mask(nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu))


def clocks_throttle_reasons(nvml: Any, gpu: Any) -> Answer:
    """The same by its older name."""
    return _mask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu))


def pstate(nvml: Any, gpu: Any) -> Answer:
    """Performance state, 0 to 15."""
    state = nvml.nvmlDeviceGetPerformanceState(gpu)
    return {} if state == _PSTATE_UNKNOWN else {"pstate": state}


def fan(nvml: Any, gpu: Any) -> Answer:
    """Intended duty of the fan; passive boards have none."""
    return {"fan_pct": nvml.nvmlDeviceGetFanSpeed(gpu)}


def encoder(nvml: Any, gpu: Any) -> Answer:
    """Use of the video encoder over its window of 1/6 s."""
    return {"enc_util": nvml.nvmlDeviceGetEncoderUtilization(gpu)[0]}


def decoder(nvml: Any, gpu: Any) -> Answer:
    """Use of the video decoder over its window of 1/6 s."""
    return {"dec_util": nvml.nvmlDeviceGetDecoderUtilization(gpu)[0]}


def power_limit(nvml: Any, gpu: Any) -> Answer:
    """The limit in force, the lowest of those that were set."""
    return {"power_limit_w": watts(nvml.nvmlDeviceGetEnforcedPowerLimit(gpu))}


def pcie_in(nvml: Any, gpu: Any) -> Answer:
    """Traffic into the GPU, which the call measures for 20 ms."""
    return {"pcie_rx_kib_s": nvml.nvmlDeviceGetPcieThroughput(gpu, nvml.NVML_PCIE_UTIL_RX_BYTES)}


def pcie_out(nvml: Any, gpu: Any) -> Answer:
    """Traffic out of the GPU, which the call measures for 20 ms."""
    return {"pcie_tx_kib_s": nvml.nvmlDeviceGetPcieThroughput(gpu, nvml.NVML_PCIE_UTIL_TX_BYTES)}


def _clock(key: str, which: str) -> Question:
    return lambda nvml, gpu: {key: nvml.nvmlDeviceGetClockInfo(gpu, getattr(nvml, which))}


def _mask(reasons: int) -> Answer:
    return {"throttle_reasons": reasons} if reasons < _MOST_MASK else {}


EACH_SAMPLE: tuple[tuple[Question, ...], ...] = (
    (utilisation,),
    (memory, memory_v1),
    (temperature,),
    (_clock("sm_clock_mhz", "NVML_CLOCK_SM"),),
    (clocks_event_reasons, clocks_throttle_reasons),
)
"""Each with its alternatives: the first that this GPU and driver answer counts."""

EACH_SECOND: tuple[Question, ...] = (
    _clock("graphics_clock_mhz", "NVML_CLOCK_GRAPHICS"),
    _clock("mem_clock_mhz", "NVML_CLOCK_MEM"),
    _clock("video_clock_mhz", "NVML_CLOCK_VIDEO"),
    pstate,
    fan,
    encoder,
    decoder,
    power_limit,
)
"""What moves slowly or says little: the value is repeated until it is asked for again."""

EACH_SECOND_SLOWLY: tuple[Question, ...] = (pcie_in, pcie_out)
"""The same, for calls that block."""


def averages_power(nvml: Any, gpu: Any) -> Answer:
    """Whether ``power_usage`` is an average over a second.

    Source: nvml.h, nvmlDeviceGetPowerUsage: on Ampere, except GA100 (compute capability 8.0), and newer.
    """
    return {"averaged": tuple(nvml.nvmlDeviceGetCudaComputeCapability(gpu)) >= _AVERAGED_FROM}


ABOUT: tuple[Question, ...] = (
    lambda nvml, gpu: {"name": nvml.nvmlDeviceGetName(gpu)},
    lambda nvml, gpu: {"index": nvml.nvmlDeviceGetIndex(gpu)},
    lambda nvml, gpu: {"pci": _text(nvml.nvmlDeviceGetPciInfo(gpu).busId)},
    lambda nvml, gpu: {"vbios": nvml.nvmlDeviceGetVbiosVersion(gpu)},
)
"""What a GPU is, asked once a session."""


def _text(value: bytes | str) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
