"""The HTTP endpoint of muxd: /metrics and /healthz, read-only."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST

from benchlab.errors import Exit, Fault
from benchlab.httpd import Answer, HttpServer, Request, json_answer


class ScrapeServer(HttpServer):
    """Serves ``render()`` on /metrics; /healthz answers 503 once ``healthy()`` says no.

    Raises Fault (IO) when the address cannot be bound, naming who holds the port.
    """

    def __init__(self, bind: str, render: Callable[[], bytes], healthy: Callable[[], bool]) -> None:
        def metrics(request: Request) -> Answer:
            return Answer(render(), CONTENT_TYPE_LATEST)

        def healthz(request: Request) -> Answer:
            if healthy():
                return json_answer({"status": "ok"})
            return json_answer({"status": "the loop stands still"}, 503)

        host, port = split_bind(bind)
        routes = {"/metrics": {"GET": metrics}, "/healthz": {"GET": healthz}}
        change = "set --prom-bind or [prometheus].bind to another"
        super().__init__(host, port, routes, name="muxd", change=change)


def split_bind(bind: str) -> tuple[str, int]:
    """Return host and port of ``host:port``. Raises Fault (usage)."""
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise Fault(f'--prom-bind: found "{bind}", expected host:port such as 0.0.0.0:9109', Exit.USAGE)
    return host.strip("[]"), int(port)
