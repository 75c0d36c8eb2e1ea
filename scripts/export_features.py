#!/usr/bin/env python3
"""Export the features of a telemetry database as CSV or Parquet."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "apps"), str(REPOSITORY / "libs")]

from pimon.analysis.features import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
