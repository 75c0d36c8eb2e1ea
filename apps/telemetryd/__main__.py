"""``python -m telemetryd``."""

from telemetryd.main import main

raise SystemExit(main())
