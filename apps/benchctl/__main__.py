"""Run benchctl as ``python -m benchctl``."""

from benchctl.main import main

raise SystemExit(main())
