"""The HTTP endpoint of muxd: /metrics and /healthz, read-only."""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from prometheus_client import CONTENT_TYPE_LATEST

from benchlab.cli import port_owner
from benchlab.errors import Exit, Fault

log = logging.getLogger("muxd")

REQUEST_TIMEOUT_S = 10.0


class ScrapeServer:
    """Serves ``render()`` on /metrics; /healthz answers 503 once ``healthy()`` says no.

    Raises Fault (IO) when the address cannot be bound, naming who holds the port.
    """

    def __init__(self, bind: str, render: Callable[[], bytes], healthy: Callable[[], bool]) -> None:
        host, port = split_bind(bind)
        handler = type("Handler", (_Handler,), {"render": staticmethod(render), "healthy": staticmethod(healthy)})
        try:
            self._server = (_Server6 if ":" in host else _Server)((host, port), handler)
        except OSError as error:
            raise Fault(bind_failure(bind, port, error), Exit.IO) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def split_bind(bind: str) -> tuple[str, int]:
    """Return host and port of ``host:port``. Raises Fault (usage)."""
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise Fault(f'--prom-bind: found "{bind}", expected host:port such as 0.0.0.0:9109', Exit.USAGE)
    return host.strip("[]"), int(port)


def bind_failure(bind: str, port: int, error: OSError) -> str:
    """Return the one line that says why an address cannot be served and what to change."""
    change = "set --prom-bind or [prometheus].bind to another"
    if error.errno == errno.EADDRINUSE:
        return f"{bind} is taken by {port_owner(port) or 'another process'}: {change}"
    return f"{bind} cannot be served ({error.strerror or error}): {change}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128  # scrapers that come together do not wait for a second SYN

    def server_bind(self) -> None:
        """Bind without asking the network for this host's name, which the base class does and may wait for."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what went wrong; a client that left is nothing to tell."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("answering %s failed: %r", client_address, error)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    render: Callable[[], bytes]
    healthy: Callable[[], bool]
    timeout = REQUEST_TIMEOUT_S
    disable_nagle_algorithm = True  # else the body waits 40 ms for the header to be acknowledged
    protocol_version = "HTTP/1.1"
    server_version = "muxd"
    sys_version = ""

    def do_GET(self) -> None:  # the name is the base class's
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, self.render())
        elif path == "/healthz":
            healthy = self.healthy()
            self._answer_json(200 if healthy else 503, {"status": "ok" if healthy else "the loop stands still"})
        else:
            self._answer_json(404, {"error": f"{path} is not served here: /metrics and /healthz are"})

    do_HEAD = do_GET  # noqa: N815 - the name is the base class's

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer errors as JSON, a method that is not served with 405."""
        self.close_connection = True
        self._answer_json(405 if code == 501 else code, {"error": message or "bad request"})

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: a scrape every second is no news."""

    def _answer_json(self, code: int, content: dict[str, str]) -> None:
        self._answer(code, "application/json", json.dumps(content).encode())

    def _answer(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if code == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
