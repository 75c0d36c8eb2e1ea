"""``python -m edgepower``."""

from edgepower.main import main

raise SystemExit(main())
