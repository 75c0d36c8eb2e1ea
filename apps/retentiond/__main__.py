"""Run retentiond as ``python -m retentiond``."""

from retentiond.main import main

raise SystemExit(main())
