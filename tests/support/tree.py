"""Where the tree under test is, and the environment its programs run in."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def program_env(**extra: str) -> dict[str, str]:
    """Return an environment in which the programs import from this tree and see no host configuration."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCHLAB_", "CX_"))}
    return {**kept, "PYTHONPATH": f"{REPOSITORY / 'apps'}:{REPOSITORY / 'libs'}", **extra}
