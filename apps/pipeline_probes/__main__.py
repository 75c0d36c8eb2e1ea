"""``python -m pipeline_probes``."""

from pipeline_probes.main import main

raise SystemExit(main())
