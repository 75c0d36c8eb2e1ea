"""The daemon: a run at once, then one every day, and one whenever the disk fills up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NoReturn

from benchlab.clock import boottime_ns
from benchlab.daemon.notify import Notifier
from benchlab.errors import Fault
from retentiond.report import Report

log = logging.getLogger("retentiond")

NS = 1_000_000_000
DAY_NS = 86_400 * NS
LOOK_S = 60.0
AGAIN_NS = 3600 * NS
"""How long a run that failed, or that could not free enough, is left alone."""


class Daily:
    """Calls ``run`` every day, and as soon as ``is_low`` tells that space is needed; a failure does not end it."""

    def __init__(
        self,
        run: Callable[[], Report],
        is_low: Callable[[], bool],
        notifier: Notifier,
        *,
        clock: Callable[[], int] = boottime_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._is_low = is_low
        self._notifier = notifier
        self._clock = clock
        self._sleep = sleep
        self._look_s = min(LOOK_S, notifier.watchdog_s or LOOK_S)

    def serve(self) -> NoReturn:
        """Run until an exception ends it: Stopped, mostly."""
        self._notifier.send("READY=1")
        try:
            while True:
                next_ns, patience_ns = self._run_once()
                while self._clock() < next_ns and not (self._clock() >= patience_ns and self._is_low()):
                    self._notifier.send("WATCHDOG=1")
                    self._sleep(self._look_s)
        finally:
            self._notifier.send("STOPPING=1")

    def _run_once(self) -> tuple[int, int]:
        """Run, and return when the next run is due, and from when on one is that needs space."""
        began_ns = self._clock()
        try:
            report = self._run()
        except (Fault, OSError) as error:
            log.error("%s", error.message if isinstance(error, Fault) else error)
            return began_ns + AGAIN_NS, began_ns + AGAIN_NS
        for finding in report.findings():
            log.warning("%s", finding)
        return began_ns + DAY_NS, began_ns + (AGAIN_NS if report.is_short else 0)
