"""The API as a whole: its routes, its bounds, and the server that answers them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic, time

from benchlab import __version__
from benchlab.config_schema import PiMon
from benchlab.httpd import Answer, HttpServer, Refusal, Request, Route, Routes, json_answer
from pimon.api import page
from pimon.api.gzipped import MIN_SIZE, compressed
from pimon.api.history import CAPACITY
from pimon.api.openapi import document
from pimon.api.query import boolean, choice, integer, names, parameters
from pimon.api.rate_limit import WINDOW_S, RateLimit
from pimon.api.readings import Readings
from pimon.api.schemas import MAX_PROCESSES, SORTS
from pimon.api.stats import FIELDS, devices_of, disks_of, interfaces_of, io_of, process_of
from pimon.snapshot import Process, Sampler, SystemSample

log = logging.getLogger(__name__)

CHANGE = "set PISTAT_PORT, [pimon].port or --port to another"
SORT_KEYS: Mapping[str, Callable[[Process], object]] = {
    "cpu": lambda process: -(process.cpu_pct or 0.0),
    "memory": lambda process: -(process.mem_pct or 0.0),
    "name": lambda process: process.name.lower(),
    "pid": lambda process: process.pid,
    "time": lambda process: process.start_time_s,
}
"""By what /processes may be sorted: shares and times the greatest first, names and numbers the least."""

_PI = "Raspberry Pi"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Api:
    """Answers requests from ``readings`` as ``options`` say."""

    def __init__(self, readings: Readings, options: PiMon) -> None:
        self._readings = readings
        self._options = options

    def routes(self) -> Routes:
        """Return what serves which path; all of it is read-only."""
        routes: dict[str, Route] = {
            "/": page.html,
            "/docs.css": page.style,
            "/docs.js": page.script,
            "/openapi.json": self.openapi,
            "/stats": self.stats,
            "/health": self.health,
            "/processes": self.processes,
            "/network/interfaces": self.interfaces,
            "/storage/devices": self.devices,
            "/metrics/history": self.history,
            "/system/config": self.config,
        }
        return {path: {"GET": self._guarded(route)} for path, route in routes.items()}

    def openapi(self, request: Request) -> Answer:
        """The description of this API for programs."""
        parameters(request)
        return json_answer(document())

    def stats(self, request: Request) -> Answer:
        """Everything of the machine, or some ``fields`` of it."""
        asked = parameters(request, "block", "cache", "fields")
        is_blocking, is_cached = boolean(asked, "block", False), boolean(asked, "cache", True)
        fields = names(asked, "fields", FIELDS)
        found = self._readings.stats(is_cached, is_blocking)
        return json_answer(self._marked({name: found[name] for name in fields}))

    def health(self, request: Request) -> Answer:
        """Whether samples can be taken."""
        parameters(request)
        try:
            stats = self._readings.stats()
        except Exception as error:  # whatever it is, it is what was asked about
            log.error("no sample can be taken: %r", error)
            return json_answer({"status": "unhealthy", "error": str(error) or repr(error), "timestamp": time()}, 500)
        found = {
            "status": "healthy",
            "uptime": stats["uptime"],
            "memory_usage": stats["memory"].get("percent"),
            "timestamp": stats["timestamp"],
            "version": __version__,
        }
        return json_answer(self._marked(found))

    def processes(self, request: Request) -> Answer:
        """The first of all processes in some order."""
        asked = parameters(request, "sort", "limit")
        key = SORT_KEYS[choice(asked, "sort", "cpu", SORTS)]
        limit = integer(asked, "limit", 10, MAX_PROCESSES)
        taken = self._readings.processes()
        first = sorted(taken.value, key=lambda process: (key(process), process.pid))[:limit]
        shown = [process_of(process, taken.timestamp) for process in first]
        return json_answer(self._marked({"processes": shown, "timestamp": taken.timestamp}))

    def interfaces(self, request: Request) -> Answer:
        """The network interfaces."""
        parameters(request)
        taken = self._readings.system()
        return json_answer(self._marked({"interfaces": interfaces_of(taken.value), "timestamp": taken.timestamp}))

    def devices(self, request: Request) -> Answer:
        """The file systems, and the disks below them."""
        parameters(request)
        taken = self._readings.system()
        system = taken.value
        found = {"devices": devices_of(system), "disk_io": io_of(system.disks), "disks": disks_of(system)}
        return json_answer(self._marked({**found, "timestamp": taken.timestamp}))

    def history(self, request: Request) -> Answer:
        """The last samples."""
        asked = parameters(request, "limit")
        limit = integer(asked, "limit", CAPACITY, CAPACITY)
        samples = self._readings.history.newest(limit)
        return json_answer(self._marked({"samples": samples, "capacity": CAPACITY, "timestamp": time()}))

    def config(self, request: Request) -> Answer:
        """What this is, and how it was told to answer."""
        parameters(request)
        host, options = os.uname(), self._options
        found = {
            "platform": f"{host.sysname} {host.release} {host.machine}",
            "is_raspberry_pi": (self._readings.hardware.model or "").startswith(_PI),
            "hostname": host.nodename,
            "python_version": sys.version.partition(" ")[0],
            "server": {
                "port": options.port,
                "host": options.host,
                "debug_mode": options.debug,
                "cache_seconds": options.cache_seconds,
                "rate_limiting": {
                    "enabled": options.rate_limit > 0,
                    "requests": options.rate_limit,
                    "window": int(WINDOW_S),
                },
                "compression": {"enabled": True, "min_size": MIN_SIZE},
            },
            "timestamp": time(),
        }
        return json_answer(self._marked(found))

    def _marked(self, found: dict[str, object]) -> dict[str, object]:
        """Return an answer that says so if it is made up."""
        return {**found, "sim": True} if self._readings.is_simulated else found

    def _guarded(self, route: Route) -> Route:
        """Return a route that answers errors too, with what all answers have in common."""

        def answer(request: Request) -> Answer:
            began_s, status = monotonic(), 500
            try:
                found = route(request)
                status = found.status
                return compressed(request, replace(found, headers={**_HEADERS, **found.headers}))
            except Refusal as refusal:
                status = refusal.status
                raise
            except Exception as error:
                log.exception("answering %s failed", request.path)
                details = (
                    repr(error) if self._options.debug else "the log of pimon has them; PISTAT_DEBUG shows them here"
                )
                raise Refusal(500, "Internal server error", {"details": details}) from error
            finally:
                if self._options.debug:
                    took_ms = 1000 * (monotonic() - began_s)
                    log.info("%s %s %s: %d in %.1f ms", request.client, request.method, request.path, status, took_ms)

        return answer


class Server(HttpServer):
    """The API that runs. ``offer`` gives it a sample that was taken for something else."""

    def __init__(self, readings: Readings, options: PiMon) -> None:
        guard = RateLimit(options.rate_limit).check
        routes = Api(readings, options).routes()
        super().__init__(options.host, options.port, routes, name="pimon", change=CHANGE, guard=guard)
        self._readings = readings

    def offer(self, system: SystemSample) -> None:
        """Show this sample, which was taken just now, to whoever asks next, and keep it for /metrics/history."""
        self._readings.offer(system)


def serve(sampler: Sampler, options: PiMon, root: Path = Path("/")) -> Server:
    """Return the API, which answers from now on. ``sampler`` is its own from now on.

    Raises Fault (IO) naming who has the port, and what moves it.
    """
    server = Server(Readings(sampler, options.cache_seconds, root), options)
    server.start()
    log.info("the API answers on http://%s:%d/", options.host, server.port)
    return server
