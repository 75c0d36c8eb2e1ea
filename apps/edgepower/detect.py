"""Which board this is, where no config.yaml says so: by its device tree, else by its firmware's tables."""

from __future__ import annotations

from pathlib import Path

BOARDS = (
    ("nvidia,tegra264", "jetson_thor"),
    ("nvidia,tegra234", "jetson_orin"),
    ("nvidia,tegra194", "jetson_xavier"),
    ("nvidia,tegra186", "jetson_tx2"),
    ("nvidia,tegra210", "jetson_nano"),
    ("raspberrypi,", "raspberry_pi"),
    ("orangepi", "orange_pi"),
    ("orange pi", "orange_pi"),
    ("lattepanda", "lattepanda"),
)
"""What a board's texts contain -> its device type; the first that fits. Source: the kernel's device trees."""

TEXTS = (
    "proc/device-tree/compatible",
    "proc/device-tree/model",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/board_vendor",
)


def device_type_of(root: Path = Path("/")) -> str | None:
    """Return the device type of the board that ``root`` belongs to, None if it is none that we know."""
    texts = " ".join(_text(root / name) for name in TEXTS).lower()
    if "jetson-tx1" in texts:  # the Nano has the same processor
        return "jetson_tx1"
    return next((device_type for mark, device_type in BOARDS if mark in texts), None)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
