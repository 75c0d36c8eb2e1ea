"""The exporter as a whole: its endpoints, and run after run of its sources, one with each configuration."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchlab.config_schema import EdgePower
from benchlab.httpd import Answer, HttpServer, Request
from edgepower.access import TOKEN, Access
from edgepower.central import Central
from edgepower.collectors import Options, get_collectors
from edgepower.control import Control
from edgepower.device_config import DeviceConfig
from edgepower.live import CONTENT_TYPE, Live
from edgepower.management import MAX_BODY, Management
from edgepower.source import EdgeSource


class Exporter:
    """What lives as long as the program does. ``stop`` ends one run, ``goes_on()`` says whether another follows."""

    def __init__(self, config: DeviceConfig, live: Live, central: Central | None) -> None:
        self.config = config
        self.live = live
        self.control = Control(config, central, self._begin_anew)
        self.stop = threading.Event()
        self._is_to_go_on = False
        self._sources: list[EdgeSource] = []

    def goes_on(self) -> bool:
        """Return whether the run was ended only to begin anew with another configuration."""
        return self._is_to_go_on

    def sources(self, options: Options, may_repeat: bool = False) -> Sequence[EdgeSource]:
        """Return the sources of the devices that are configured now; those of before are let go."""
        self.release()
        self.live.clear()
        settings = self.config.settings
        collectors = get_collectors(settings.device, options)
        found, period_s = self.control.found, settings.interval_s
        self._sources = [EdgeSource(one, self.live, found, period_s, may_repeat) for one in collectors]
        return self._sources

    def release(self) -> None:
        """Let go of the devices."""
        for source in self._sources:
            source.close()
        self._sources = []

    def run(self, keys: EdgePower, sample: Callable[[], int]) -> int:
        """Serve, and have ``sample`` run the sources until it is stopped from outside. Raises Fault."""
        with self._served(keys):
            while True:
                self._is_to_go_on = False
                self.stop = threading.Event()
                code = sample()
                if not self._is_to_go_on:
                    return code

    def _begin_anew(self) -> None:
        self._is_to_go_on = True
        self.stop.set()

    @contextmanager
    def _served(self, keys: EdgePower) -> Iterator[None]:
        """Serve /metrics and the management API. Raises Fault naming who has a port, and the key that moves it."""
        settings = self.config.settings
        access = Access(TOKEN.token_of(keys.management_bind, keys.token_file))
        servers = [
            HttpServer(
                keys.bind,
                settings.port,
                {"/metrics": {"GET": self._metrics}},
                name="edgepower",
                change=f"set port: in {self.config.path}, or --port, to another",
            )
        ]
        try:
            servers.append(
                HttpServer(
                    keys.management_bind,
                    settings.reload_port,
                    Management(self.config, self.live, self.control).routes(),
                    name="edgepower",
                    change=f"set reload_port: in {self.config.path}, or --reload-port, to another",
                    guard=access.check,
                    max_body=MAX_BODY,
                )
            )
            self.control.start()
            for server in servers:
                server.start()
            yield
        finally:
            self.release()
            self.control.close()
            for server in servers:
                server.close()

    def _metrics(self, request: Request) -> Answer:
        return Answer(self.live.render(self.config.settings, str(self.config.path)), CONTENT_TYPE)
