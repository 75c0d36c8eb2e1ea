"""``python -m webd``."""

from webd.main import main

raise SystemExit(main())
