"""``python -m vmstatd``."""

from vmstatd.main import main

raise SystemExit(main())
