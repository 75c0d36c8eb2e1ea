"""What changes the configuration besides the API: new metrics, reloads, and the central server. One thread does it."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from benchlab.daemon.schedule import NS, Backoff
from benchlab.errors import Fault
from edgepower.central import Central, Denied, Unreachable
from edgepower.device_config import DeviceConfig
from edgepower.settings import Settings, Wrong, metrics_of

log = logging.getLogger("edgepower")

RELOAD_APART_S = 5.0
RETRY_S = (2.0, 300.0)


class Control:
    """Does in the background what must delay neither a sample nor an answer.

    ``restart`` is called when a reload changed what the running sources were built from. The server calls /reload
    while it is being told something; so nothing is ever told to it because of a reload, reloads that come together
    are one, and with a server they are at least ``reload_apart_s`` apart. ``retry_s`` is the first and the longest
    wait before a server that failed is told again.
    """

    def __init__(
        self,
        config: DeviceConfig,
        central: Central | None,
        restart: Callable[[], None],
        *,
        reload_apart_s: float = RELOAD_APART_S,
        retry_s: tuple[float, float] = RETRY_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.problem = ""
        self._config = config
        self._central = central
        self._restart = restart
        self._reload_apart_s = reload_apart_s
        self._backoff = Backoff(*retry_s)
        self._clock = clock
        self._wake = threading.Event()
        self._closing = False
        self._found: frozenset[str] = frozenset()
        self._reload_at_s: float | None = None
        self._reloaded_s = clock() - reload_apart_s
        self._tell_at_s = 0.0
        self._is_registered = False
        self._said = ""
        self._built = _built_from(config.settings)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Ask the server once, waiting for its answer, and begin to work."""
        if self._central is not None:
            self._pull(self._central)
        self._built = _built_from(self._config.settings)
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is under way may be left unfinished, files apart."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=0.2)

    def found(self, names: Iterable[str]) -> None:
        """Hear which metrics a device has."""
        new = frozenset(names) - self._config.metrics.keys()
        if new - self._found:
            self._found |= new
            self._wake.set()

    def reload(self) -> None:
        """Ask for the configuration to be read again."""
        if self._reload_at_s is None:
            apart_s = self._reload_apart_s * random.uniform(1.0, 1.2) if self._central else 0.0
            self._reload_at_s = max(self._clock(), self._reloaded_s + apart_s)
        self._wake.set()

    def enable(self, chosen: Mapping[str, bool]) -> None:
        """Turn metrics on or off, and have the server told. Raises what DeviceConfig.enable does."""
        self._config.enable(chosen)
        self.problem = ""
        self._wake.set()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._wait_s())
            self._wake.clear()
            try:
                self._work()
            except Exception:  # a defect here must end neither samples nor answers, nor be repeated at once
                log.exception("the configuration could not be worked on: a defect")
                self._tell_at_s = self._clock() + RETRY_S[1]

    def _wait_s(self) -> float | None:
        due = [] if self._reload_at_s is None else [self._reload_at_s]
        if self._central is not None and self._config.unsent:
            due.append(self._tell_at_s)
        return max(0.0, min(due) - self._clock()) if due else None

    def _work(self) -> None:
        now_s = self._clock()
        if self._found:
            found, self._found = self._found, frozenset()
            self._attempt(lambda: self._config.discover(sorted(found)))
        if self._reload_at_s is not None and now_s >= self._reload_at_s:
            self._reloaded_s, self._reload_at_s = now_s, None
            self._reload()
        if self._central is not None and self._config.unsent and now_s >= self._tell_at_s:
            self._push(self._central)
        self._restart_if_needed()

    def _reload(self) -> None:
        before = self._config.settings
        self._attempt(self._config.reload)
        if self._central is not None and not self.problem:
            self._pull(self._central)
        after = self._config.settings
        if not self.problem:
            log.info("configuration reloaded (%s)", self._config.source)
        if (after.port, after.reload_port) != (before.port, before.reload_port):
            log.warning("port and reload_port are taken over by a restart of the program only")

    def _restart_if_needed(self) -> None:
        """Have the sources built anew if they were built from something else than what is in force."""
        wanted = _built_from(self._config.settings)
        if wanted != self._built:
            self._built = wanted
            self._restart()

    def _attempt(self, change: Callable[[], None]) -> None:
        """Change the configuration; what prevents it is told once, and shown until something succeeds."""
        try:
            change()
        except Fault as fault:
            if fault.message != self.problem:
                log.error("%s; the configuration that was in force stays", fault.message)
            self.problem = fault.message
        else:
            self.problem = ""

    def _pull(self, central: Central) -> None:
        """Take over what the server says; without it, what the file says stays."""
        try:
            theirs = central.get()
        except (Unreachable, Denied) as error:
            log.warning("config server: %s; fallback to %s", error, self._config.path)
            return
        if theirs is None:
            self._register(central)
        else:
            self._attempt(lambda: self._config.adopt(theirs))

    def _push(self, central: Central) -> None:
        """Tell the server of the metrics that were changed here, on top of what it says itself."""
        unsent = self._config.unsent
        try:
            theirs = central.get()
            if theirs is None:
                self._register(central)
            elif (metrics := {**(metrics_of(theirs) or {}), **unsent}) != theirs.get("metrics"):
                central.patch({"metrics": metrics})
        except Unreachable as error:
            self._say(f"config server: {error}; trying again later")
            self._tell_at_s = self._clock() + self._backoff.next_ns() / NS
            return
        except (Denied, Wrong) as error:
            self._say(f"config server: {error}; it is not told of this change")
        else:
            self._said = ""
        self._backoff.reset()
        self._config.sent(unsent)

    def _register(self, central: Central) -> None:
        """Make a server that does not know this device know it: once a start, whatever comes of it."""
        if self._is_registered:
            return
        self._is_registered = True
        settings, document = self._config.settings, self._config.document()
        kinds = [document.get("device_type"), *(entry["device_type"] for entry in document.get("devices") or ())]
        told = {
            "device_type": next(filter(None, kinds), ""),
            "port": settings.port,
            "reload_port": settings.reload_port,
            "interval": settings.interval_s,
            "metrics": self._config.metrics,
        }
        try:
            central.register(told)
        except (Unreachable, Denied) as error:
            self._say(f"config server: {error}; this device is not registered there")

    def _say(self, message: str) -> None:
        if message != self._said:
            log.warning("%s", message)
        self._said = message


def _built_from(settings: Settings) -> object:
    """Return what the sources are built from."""
    return settings.interval_s, settings.device
