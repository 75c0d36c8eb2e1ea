"""``python -m pimon``: the collector, or with ``--db`` the stand-alone logger, which loads nothing but psutil."""

from pimon.main import main

raise SystemExit(main())
