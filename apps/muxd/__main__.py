"""``python -m muxd``."""

from muxd.main import main

raise SystemExit(main())
