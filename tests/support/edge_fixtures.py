"""The recorded answers of edge devices, and trees of /sys and /proc made of path and content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent.parent / "fixtures" / "edgepower"


def load(name: str) -> Any:
    """Return a recorded answer as decoded JSON."""
    return json.loads((FIXTURES / name).read_text())


def lines(name: str) -> list[str]:
    """Return the lines of a recorded output."""
    return (FIXTURES / name).read_text().splitlines()


def plant(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below ``root`` and return it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root
