"""``python -m pimon``."""

from pimon.main import main

raise SystemExit(main())
