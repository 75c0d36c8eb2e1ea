#!/usr/bin/env python3
"""The exporter of edge devices: edgepower, serving only. Without --no-record, edgepower also records a session."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "apps"), str(REPOSITORY / "libs")]

from edgepower.main import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main(["--no-record", *sys.argv[1:]]))
