#!/usr/bin/env python3
"""The stand-alone telemetry logger: ``python3 scripts/logger.py --db telemetry.db``. It needs psutil only."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "apps"), str(REPOSITORY / "libs")]

from pimon.logger import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
