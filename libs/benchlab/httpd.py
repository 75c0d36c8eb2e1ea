"""A small HTTP server for daemons: fixed paths, bounded requests, errors as JSON. docs/adr/0010 says why."""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from time import monotonic
from typing import Any

from benchlab.cli import port_owner
from benchlab.errors import Exit, Fault

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 128
MOST_UNREAD = 1 << 20
PATIENCE_S = 1.0
JSON = "application/json"


@dataclass(frozen=True)
class Request:
    """What was asked: ``query`` is what follows the ``?``, and the body is empty where none was expected.

    ``client`` is the address that asks.
    """

    method: str
    path: str
    headers: Message
    body: bytes = b""
    query: str = ""
    client: str = ""


@dataclass(frozen=True)
class Answer:
    """What is answered; ``headers`` beside those of type and length."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A request that is not fulfilled: its status, a sentence, and what else the JSON or the header shall say."""

    def __init__(
        self, status: int, message: str, more: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.content = {"error": message, **(more or {})}
        self.headers = dict(headers or {})


def json_answer(content: object, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(json.dumps(content).encode(), JSON, status)


Route = Callable[[Request], Answer]
Routes = Mapping[str, Mapping[str, Route]]
"""What serves a path, by method (GET or POST). HEAD is GET without its body."""


class HttpServer:
    """Serves ``routes`` on host and port, each request in a thread of its own.

    ``guard`` sees every request for a path there is before its body is read, and may refuse it. Bodies are read of
    POST only, up to ``max_body`` bytes. ``name`` is what it calls itself; ``change`` says what moves it elsewhere.
    Raises Fault (IO) when the address cannot be bound, naming who holds the port.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Routes,
        *,
        name: str,
        change: str,
        guard: Callable[[Request], None] | None = None,
        max_body: int = 0,
    ) -> None:
        parts = {"routes": routes, "guard": staticmethod(guard or (lambda request: None)), "max_body": max_body}
        handler = type("Handler", (_Handler,), {**parts, "server_version": name})
        try:
            self._server = (_Server6 if ":" in host else _Server)((host, port), handler)
        except OSError as error:
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise Fault(f"{bind_failure(shown, port, error)}: {change}", Exit.IO) from error
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


def bind_failure(address: str, port: int, error: OSError) -> str:
    """Return why an address cannot be served."""
    if error.errno == errno.EADDRINUSE:
        return f"{address} is taken by {port_owner(port) or 'another process'}"
    return f"{address} cannot be served ({error.strerror or error})"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128  # scrapers that come together do not wait for a second SYN

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without asking the network for this host's name, which the base class does and may wait for."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or hang up where too many are being answered."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what went wrong; a client that left is nothing to tell."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("answering %s failed: %r", client_address, error)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    routes: Routes
    guard: Callable[[Request], None]
    max_body: int
    timeout = REQUEST_TIMEOUT_S
    disable_nagle_algorithm = True  # else the body waits 40 ms for the header to be acknowledged
    protocol_version = "HTTP/1.1"
    sys_version = ""

    def do_GET(self) -> None:  # the name is the base class's
        self._serve("GET")

    do_HEAD = do_GET  # noqa: N815 - the name is the base class's

    def do_POST(self) -> None:  # the name is the base class's
        self._serve("POST")

    def _serve(self, method: str) -> None:
        try:
            route, request = self._find(method)
            if method == "POST":
                request = replace(request, body=self._read_body())
            answer = route(request)
        except Refusal as refusal:
            # the body may not have been read, and must not be taken for the next request
            self.close_connection = self.close_connection or method == "POST"
            self._refuse(refusal)
        else:
            self._answer(answer)

    def _find(self, method: str) -> tuple[Route, Request]:
        """Return what serves the request. Raises Refusal."""
        if method == "GET" and self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True  # nobody reads what a GET brings along
        path, _, query = self.path.partition("?")
        methods = self.routes.get(path)
        if methods is None:
            raise Refusal(404, f"found {path}, expected {' or '.join(self.routes)}")
        if method not in methods:
            raise _not_allowed(method, methods)
        request = Request(method, path, self.headers, query=query, client=str(self.client_address[0]))
        self.guard(request)
        return methods[method], request

    def _read_body(self) -> bytes:
        """Return the body of the request. Raises Refusal."""
        if "Transfer-Encoding" in self.headers:
            raise Refusal(411, "found Transfer-Encoding, expected a body with Content-Length")
        declared = self.headers.get("Content-Length", "0")
        if not (declared.isascii() and declared.isdigit()):
            raise Refusal(400, f"Content-Length: found {declared[:20]!r}, expected a number")
        left = int(declared)
        if left > self.max_body:
            raise Refusal(413, f"found a body of {left} bytes, expected at most {self.max_body}")
        return self._read(left)

    def _read(self, left: int) -> bytes:
        give_up_s = monotonic() + REQUEST_TIMEOUT_S
        parts = []
        while left:
            part = self.rfile.read1(left) if monotonic() < give_up_s else b""
            if not part:
                raise Refusal(400, f"the body ended, or stood still, with {left} bytes missing")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer errors as JSON, a method that is not served with 405."""
        self.close_connection = True
        refusal = Refusal(code, message or "bad request")
        if code == 501:
            methods = self.routes.get(self.path.partition("?")[0], {"GET": None})
            refusal = _not_allowed(self.command, methods)
        self._refuse(refusal)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: a scrape every second is no news."""

    def _refuse(self, refusal: Refusal) -> None:
        self._answer(replace(json_answer(refusal.content, refusal.status), headers=refusal.headers))
        if self.close_connection:
            self._hear_out()

    def _hear_out(self) -> None:
        """Take what the client is still sending: one that is cut off in the middle never reads its answer."""
        left = MOST_UNREAD
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(PATIENCE_S)
            while left > 0 and (part := self.rfile.read1(65536)):
                left -= len(part)
        except OSError:
            pass  # it went away, or has nothing more to say

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def _not_allowed(method: str, methods: Mapping[str, object]) -> Refusal:
    allowed = ", ".join(("GET, HEAD" if name == "GET" else name) for name in methods)
    return Refusal(405, f"found {method}, expected {allowed}", headers={"Allow": allowed})
