"""Signals of a GPU, as NVML names them."""

from __future__ import annotations

from collections.abc import Iterator

from benchlab.catalog.signal import Signal, numbers

SOURCE = "gpu.nvml"
PREFIX = "benchlab_gpu_"

_GAUGES = (
    ("gpu_util", "%", "utilization_ratio", "Share of time in which a kernel ran on the GPU"),
    ("mem_util", "%", "memory_utilization_ratio", "Share of time in which GPU memory was read or written"),
    ("power_avg_w", "W", "power_average_watts", "Power of the GPU averaged over the last second by the driver"),
    ("power_limit_w", "W", "power_limit_watts", "Power limit in force"),
    ("temp_c", "°C", "temperature_celsius", "Temperature of the GPU core"),
    ("mem_temp_c", "°C", "memory_temperature_celsius", "Temperature of the GPU's memory"),
    ("graphics_clock_mhz", "MHz", "graphics_clock_hertz", "Clock of the graphics engine"),
    ("sm_clock_mhz", "MHz", "sm_clock_hertz", "Clock of the streaming multiprocessors"),
    ("mem_clock_mhz", "MHz", "memory_clock_hertz", "Clock of the GPU's memory"),
    ("video_clock_mhz", "MHz", "video_clock_hertz", "Clock of the video encoder and decoder"),
    ("fan_pct", "%", "fan_duty_ratio", "Duty of the GPU's fan"),
    ("enc_util", "%", "encoder_utilization_ratio", "Use of the video encoder"),
    ("dec_util", "%", "decoder_utilization_ratio", "Use of the video decoder"),
    ("pcie_rx_kib_s", "KiB/s", "pcie_receive_bytes_per_second", "PCIe traffic into the GPU"),
    ("pcie_tx_kib_s", "KiB/s", "pcie_transmit_bytes_per_second", "PCIe traffic out of the GPU"),
)
_SIZES = (
    ("gpu_mem_used", "B", "memory_used_bytes", "GPU memory in use"),
    ("gpu_mem_reserved", "B", "memory_reserved_bytes", "GPU memory that the driver keeps for itself"),
    ("gpu_mem_total", "B", "memory_installed_bytes", "GPU memory installed"),
)
_STATES = (
    ("throttle_reasons", "", "throttle_reasons", "Bit mask: why the clocks are held down, by NVML's bits"),
    ("pstate", "", "performance_state", "Performance state; 0 is the fastest"),
    ("last_xid", "", "last_xid", "Code of the last error the driver reported (XID)"),
)


def signals() -> Iterator[Signal]:
    """Yield every signal of a GPU."""
    yield Signal(
        SOURCE,
        "power_w",
        "W",
        "gauge",
        "Power of the GPU",
        PREFIX + "power_watts",
        energy_key="energy_j",
        energy_step_ms=100.0,  # 20 to 100 ms from board to board
    )
    yield from numbers(
        SOURCE,
        "counter",
        PREFIX,
        [("energy_j", "J", "energy_joules_total", "Energy of the GPU since its counter began")],
    )
    yield from numbers(SOURCE, "gauge", PREFIX, _GAUGES)
    yield from numbers(SOURCE, "gauge", PREFIX, _SIZES, "integer")
    yield from numbers(SOURCE, "state", PREFIX, _STATES, "integer")
    yield Signal(SOURCE, "xid", "", "info", "Code of an error at the moment the driver reported it", influx="integer")
    yield from numbers(
        SOURCE,
        "counter",
        PREFIX,
        [("xid_errors", "", "xid_errors_total", "Errors that the driver reported since telemetryd began to listen")],
        "integer",
    )
