#!/usr/bin/env python3
"""Analyse the discharges in a telemetry database: drain, energy, time to empty."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "apps"), str(REPOSITORY / "libs")]

from pimon.analysis.report import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
