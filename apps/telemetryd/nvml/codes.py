"""What NVML's return codes mean for a reading, a GPU, or NVML as a whole.

Source: nvml.h, nvmlReturn_t.
"""

from __future__ import annotations

from benchlab.daemon import Absent
from telemetryd.nvml.library import INSTALL

UNINITIALIZED = 1
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
DRIVER_NOT_LOADED = 9
TIMEOUT = 10
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18

NEVER = frozenset({INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND})
"""This GPU, driver or user will not get an answer to this question, however often it is asked."""

BROKEN = frozenset({UNINITIALIZED, DRIVER_NOT_LOADED, GPU_IS_LOST, RESET_REQUIRED, LIB_RM_VERSION_MISMATCH})
"""Nothing will be answered until NVML is begun anew."""

_LOOK = "look for Xid in dmesg; reset the GPU (nvidia-smi --gpu-reset) or restart the host"

_WORDS = {
    UNINITIALIZED: ("the driver was loaded anew", ""),
    NO_PERMISSION: (
        "no permission to use the driver",
        "let this user read and write /dev/nvidiactl and /dev/nvidia[0-9]*; in a container, pass the devices in",
    ),
    NOT_FOUND: ("no such GPU", "look whether the host sees it: lspci -d 10de:"),
    DRIVER_NOT_LOADED: ("the NVIDIA driver is not loaded", "modprobe nvidia; if that fails, dmesg says why"),
    LIBRARY_NOT_FOUND: ("the NVIDIA library is not installed", INSTALL),
    GPU_IS_LOST: ("the GPU is lost: it has fallen off the bus", _LOOK),
    RESET_REQUIRED: ("the GPU needs a reset", _LOOK),
    LIB_RM_VERSION_MISMATCH: (
        "the loaded driver and the installed library are of different versions",
        "restart the host, or unload and load the nvidia modules, to finish the upgrade of the driver",
    ),
}


def absence(code: int, name: str) -> Absent:
    """Return what a code that NVML calls ``name`` says about a device that cannot be read, with what mends it."""
    words, fix = _WORDS.get(code, ("NVML does not answer", "look for NVRM and Xid in dmesg"))
    return Absent(f"{words} (NVML {code}: {name})", fix)
