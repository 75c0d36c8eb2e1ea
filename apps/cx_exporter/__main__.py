"""``python -m cx_exporter``."""

from cx_exporter.main import main

raise SystemExit(main())
