"""What tells two recordings of different machines apart: the facts of a host in session.json."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_NVIDIA_VERSION = re.compile(r"Kernel Module\s+(?:for \S+\s+)?(\S+)")
_DISPLAY = "0x03"  # the PCI class of display controllers
_PLACEHOLDERS = ("default string", "to be filled by o.e.m.", "not applicable", "none", "")


def host_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Return the facts under their keys in session.json; one that cannot be read is absent."""
    name = os.uname()
    facts = {
        "hostname": name.nodename,
        "kernel": name.release,
        "machine": name.machine,
        "cpus": os.cpu_count(),
        "os": _field(root / "etc/os-release", "PRETTY_NAME", "="),
        "cpu_model": _field(root / "proc/cpuinfo", "model name", ":"),
        "memory_total": _field(root / "proc/meminfo", "MemTotal", ":"),
        "motherboard": _motherboard(root),
        **_graphics(root),
    }
    return {key: value for key, value in facts.items() if value is not None}


def device_tree(root: Path, name: str) -> str | None:
    """Return a text of the device tree, such as ``model`` or ``serial-number``; None where there is none."""
    return _text(root / "proc/device-tree" / name) or None


def _motherboard(root: Path) -> str | None:
    """Return maker and model of the main board. Source: DMI in sysfs, elsewhere the device tree."""
    dmi = root / "sys/class/dmi/id"
    parts = [text for name in ("board_vendor", "board_name") if (text := _text(dmi / name))]
    known = [part for part in parts if part.lower() not in _PLACEHOLDERS]
    return " ".join(known) or _text(root / "sys/firmware/devicetree/base/model") or None


def _graphics(root: Path) -> dict[str, str | None]:
    """Return the names of the graphics cards and their driver with its version.

    Source: /proc/driver/nvidia for NVIDIA's own driver, else the kernel's DRM devices, which know only numbers.
    """
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    models = [model for card in cards if (model := _field(card, "Model", ":"))]
    if models:
        version = _NVIDIA_VERSION.search(_text(root / "proc/driver/nvidia/version") or "")
        return {"gpu": " + ".join(models), "gpu_driver": f"nvidia {version[1]}" if version else "nvidia"}
    devices = sorted((root / "sys/class/drm").glob("card[0-9]/device"))
    shown = [device for device in devices if (_text(device / "class") or "").startswith(_DISPLAY)]
    named = {_drm_name(device): _field(device / "uevent", "DRIVER", "=") for device in shown}
    names = [name for name in named if name]
    drivers = sorted({driver for driver in named.values() if driver})
    return {"gpu": " + ".join(names) or None, "gpu_driver": ", ".join(drivers) or None}


def _drm_name(device: Path) -> str | None:
    """Return what a card calls itself, else its vendor and device number."""
    number = _field(device / "uevent", "PCI_ID", "=")
    return _text(device / "product_name") or (f"PCI {number.lower()}" if number else None)


def _text(path: Path) -> str | None:
    """Return the text of a small file without white space around it; None if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def _field(path: Path, key: str, separator: str) -> str | None:
    """Return the value of the first ``key separator value`` line of a file; None if there is none."""
    pairs = (line.partition(separator) for line in (_text(path) or "").splitlines())
    return next((value.strip().strip('"') for found, _, value in pairs if found.strip() == key), None)
