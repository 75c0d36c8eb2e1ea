"""A central config server as the public one behaves: it calls /reload while it is being told something."""

from __future__ import annotations

import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ConfigServer:
    """Keeps ``documents`` by device. Faults are attributes, set at any time."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.status: int | None = None
        self.raw: bytes | None = None
        self.delay_s = 0.0
        self.drops: tuple[str, ...] = ()
        self.reloads: list[tuple[int, float]] = []
        self.reload_port: int | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def told(self, *methods: str) -> list[Any]:
        """Return the bodies of the requests with these methods."""
        return [body for method, body in list(self.asked) if method in methods]

    def call_reload(self) -> None:
        """Call the device, waiting at most two seconds for its answer, as the public server does."""
        if self.reload_port is None:
            return
        began_s = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.reload_port, timeout=2)
        try:
            connection.request("POST", "/reload")
            self.reloads.append((connection.getresponse().status, time.monotonic() - began_s))
        finally:
            connection.close()

    def serve(self, method: str, device: str, content: Any) -> tuple[int, Any]:
        if self.status is not None:
            return self.status, {"error": "as told"}
        known = self.documents.get(device)
        if method == "GET":
            if known is None:
                return 404, {"error": "Device not found", "device_id": device}
            shown = {key: value for key, value in reversed(known.items()) if key not in ("ip_address", *self.drops)}
            return 200, shown
        if method == "PATCH" and known is None:
            return 404, {"error": "Device not found"}
        self.documents[device] = {**(known or {}), **content} if method == "PATCH" else dict(content)
        self.call_reload()
        return 200, {"status": "patched" if method == "PATCH" else "registered", "reload_triggered": True}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                content = json.loads(self.rfile.read(length)) if length else None
                outer.asked.append((self.command, content))
                outer.tokens.add(self.headers.get("Authorization"))
                time.sleep(outer.delay_s)
                status, said = outer.serve(self.command, self.path.removeprefix("/config/"), content)
                body = json.dumps(said).encode() if outer.raw is None else outer.raw
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_PATCH = answer  # noqa: N815 - the names are the base class's

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
