"""Where what is not Python lies: udev rules, documents, the dashboard; in a checkout, or where install.sh put it."""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
"""The checkout, if this module lies in one."""


def shipped(name: str, checkout: Path = CHECKOUT, prefix: Path = Path(sys.prefix)) -> Path:
    """Return where a file of the checkout is on this machine; its name alone if it is nowhere.

    An installation keeps its programs in ``.venv`` below the folder where it keeps the rest.
    """
    places = (checkout, prefix.parent)
    return next((place / name for place in places if (place / name).exists()), Path(name))


def dashboard_dir(checkout: Path = CHECKOUT, prefix: Path = Path(sys.prefix)) -> Path:
    """Return the folder of the built dashboard, which an installation has without its sources."""
    return checkout / "web/out" if (checkout / "pyproject.toml").exists() else prefix.parent / "web"
