#!/usr/bin/env python3
"""A BENCHLAB without hardware, on a pty: ``benchctl emulate benchlab``, with all its options."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "apps"), str(REPOSITORY / "libs")]

from benchctl.main import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main(["emulate", "benchlab", *sys.argv[1:]]))
