"""``python -m benchlabd``."""

from benchlabd.main import main

raise SystemExit(main())
