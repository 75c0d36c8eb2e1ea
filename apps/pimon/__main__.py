"""``python -m pimon``: the collector, or with ``--db`` the stand-alone logger, which loads nothing but psutil."""

import sys

from pimon import logger

if logger.is_meant(sys.argv[1:]):
    raise SystemExit(logger.main())

from pimon.main import main

raise SystemExit(main())
