"""Shelly devices that answer over HTTP as the real ones do, passwords and all, and that fail when they are told to."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client is gone: some tests are about that."""


class EmulatedShelly:
    """One device: ``gen`` 1 or later, what it says of itself, its status. Faults are attributes, set at any time."""

    def __init__(self, gen: int, about: dict[str, Any], status: Any, password: str | None = None) -> None:
        self.gen = gen
        self.about = about
        self.status = status
        self.password = password
        self.asked: list[str] = []
        self.rejected = 0
        self.connections = 0
        self.delay_s = 0.0
        self.answer: tuple[int, bytes] | None = None
        self.hangs_up = False
        self.offers: str | None = None
        self.nonce_lasts = 1000
        self._nonce = 1_646_301_072
        self._last_count = 0
        self._uses = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._open: list[Any] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[EmulatedShelly]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.delay_s = 0.0
            self._server.shutdown()
            self._server.server_close()
            self.drop_connections()

    def drop_connections(self) -> None:
        """Close every connection that is kept, as a device does that wants its sockets back."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def says(self, path: str, authorization: str | None) -> tuple[int, dict[str, str], Any]:
        """Return what the device answers to a GET: status, headers, content."""
        if path == "/shelly":
            return 200, {}, self.about
        if self.password is not None and not self._lets_in(path, authorization):
            self.rejected += authorization is not None
            return 401, {"WWW-Authenticate": self._challenge(), "Connection": "close"}, None
        known = {"/status": 1, "/rpc/Shelly.GetStatus": 2}
        if path in known and min(self.gen, 2) == known[path]:
            return 200, {}, self.status
        if self.gen > 1:
            return 404, {}, {"code": 404, "message": f"No handler for {path.removeprefix('/rpc/')}"}
        return 404, {}, "Not Found"

    def _challenge(self) -> str:
        if self.offers is not None:
            return self.offers
        if self.gen == 1:
            return 'Basic realm="shelly"'
        self._nonce += 1
        self._last_count = self._uses = 0
        realm = self.about["auth_domain"]
        return f'Digest qop="auth", realm="{realm}", nonce="{self._nonce}", algorithm=SHA-256'

    def _lets_in(self, path: str, authorization: str | None) -> bool:
        scheme, _, rest = (authorization or "").partition(" ")
        if self.gen == 1:
            return scheme == "Basic" and base64.b64decode(rest) == f"admin:{self.password}".encode()
        return scheme == "Digest" and self._is_right(path, dict(re.findall(r'(\w+)="?([^",]+)"?', rest)))

    def _is_right(self, path: str, said: dict[str, str]) -> bool:
        """Return whether a response is the one of RFC 7616, to a nonce in force, with a count that rises."""
        realm, nonce = self.about["auth_domain"], str(self._nonce)
        secret = _sha256(f"admin:{realm}:{self.password}")
        asked = _sha256(f"GET:{path}")
        wanted = _sha256(f"{secret}:{nonce}:{said.get('nc')}:{said.get('cnonce')}:auth:{asked}")
        count = int(said.get("nc", "0"), 16)
        right = (said.get("uri"), said.get("nonce"), said.get("response")) == (path, nonce, wanted)
        if not right or count <= self._last_count or self._uses >= self.nonce_lasts:
            return False
        self._last_count, self._uses = count, self._uses + 1
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shelly = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                shelly.connections += 1
                shelly._open.append(self.connection)

            def do_GET(self) -> None:
                shelly.asked.append(self.path)
                sleep(shelly.delay_s)
                if shelly.hangs_up:
                    self.close_connection = True
                    return
                status, headers, content = shelly.says(self.path, self.headers.get("Authorization"))
                body = b"" if content is None else json.dumps(content).encode()
                if shelly.answer is not None and self.path != "/shelly":
                    status, body = shelly.answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
