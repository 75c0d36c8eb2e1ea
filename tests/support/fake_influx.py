"""An InfluxDB 1, 2 or 3 on loopback as far as writing goes: it parses, checks types, and fails as told.

The answers are those of the real ones: 204; for a batch with bad lines, 400 in each version's words, the good ones
stored (of versions 1 and 3; version 2 stores nothing of a batch that it cannot parse).
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.line_protocol import Malformed, Point, Tags, Value, parse

Key = tuple[str, Tags, int]
Fault = Callable[["Exchange"], None]
WRITE_PATHS = {"/write": "v1", "/api/v2/write": "v2", "/api/v3/write_lp": "v3"}
PRECISIONS = {"v1": "ns", "v2": "ns", "v3": "nanosecond"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client is gone: some tests are about that."""


class Exchange(BaseHTTPRequestHandler):
    """One request. A fault answers it in place of the server, or does nothing."""

    protocol_version = "HTTP/1.1"
    influx: FakeInflux
    is_answered = False

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    def serve(self) -> None:
        self.is_answered = False
        url = urlsplit(self.path)
        self.params = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            try:
                self.body = gzip.decompress(self.body)
            except (OSError, EOFError, zlib.error):
                return self.answer(400, {"error": "bad gzip"})
        self.influx.asked.append((self.command, url.path, dict(self.params)))
        if url.path in WRITE_PATHS:
            self.influx.batches.append(len(self.body.splitlines()))
            for fault in [*self.influx.faults]:
                fault(self)
                if self.is_answered:
                    return None
        return self.influx.serve(self, url.path)

    def answer(self, status: int, document: object = None, **headers: str) -> None:
        self.is_answered = True
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Cut the connection without an answer."""
        self.is_answered = True
        self.close_connection = True
        self.connection.close()


class FakeInflux:
    """The points of its databases, by measurement, tags and time. ``faults`` are asked before every write."""

    def __init__(self, *databases: str, token: str | None = None) -> None:
        self.databases: dict[str, dict[Key, dict[str, Value]]] = {name: {} for name in databases}
        self.types: dict[tuple[str, str, str], str] = {}
        self.token = token
        self.may_create = True
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.batches: list[int] = []
        self.writes: list[Point] = []
        self._lock = threading.Lock()
        handler = type("_Exchange", (Exchange,), {"influx": self})
        self._server = _Server(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[FakeInflux]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def points(self, database: str = "vmstats") -> dict[Key, dict[str, Value]]:
        return self.databases[database]

    def serve(self, exchange: Exchange, path: str) -> None:
        given = exchange.headers.get("Authorization")
        if self.token is not None and (given is None or given.split(" ", 1)[-1] != self.token):
            return exchange.answer(401, {"error": "unauthorized access"})
        with self._lock:
            if path in WRITE_PATHS:
                return self._write(exchange, WRITE_PATHS[path])
            return self._manage(exchange, path)

    def _write(self, exchange: Exchange, version: str) -> None:
        assert exchange.params["precision"] == PRECISIONS[version], exchange.params
        name = exchange.params["bucket" if version == "v2" else "db"]
        if name not in self.databases:
            return exchange.answer(404, {"error": f'database not found: "{name}"'})
        good, bad = [], []
        for number, line in enumerate(exchange.body.decode().split("\n"), 1):
            if not line:
                continue
            try:
                point = parse(line)
                self._check_types(name, point)
                good.append(point)
            except Malformed as why:
                bad.append((number, line, str(why)))
        parsable = not any("type" not in why for _, _, why in bad)
        if version == "v2" and not parsable:
            good = []
        for point in good:
            self.writes.append(point)
            key = point.measurement, point.tags, point.ts_ns
            self.databases[name].setdefault(key, {}).update(point.fields)
        return exchange.answer(204) if not bad else exchange.answer(400, _refusal(version, bad))

    def _check_types(self, database: str, point: Point) -> None:
        for field, value in point.fields.items():
            kind = type(value).__name__
            known = self.types.setdefault((database, point.measurement, field), kind)
            if known != kind:
                raise Malformed(f"field type conflict: {field} is type {kind}, already exists as type {known}")

    def _manage(self, exchange: Exchange, path: str) -> None:
        if path == "/query":
            return self._query(exchange, exchange.params["q"])
        if path == "/api/v2/orgs":
            return exchange.answer(200, {"orgs": [{"id": "0a", "name": exchange.params.get("org", "")}]})
        names = {"/api/v2/buckets": "name", "/api/v3/configure/database": "db"}
        if path not in (*names, "/api/v2/delete"):
            return exchange.answer(404)
        document = json.loads(exchange.body)
        if path == "/api/v2/delete":
            self._delete(exchange.params["bucket"], re.findall(r'session="(.*)"', document["predicate"])[0])
            return exchange.answer(204)
        if not self.may_create:
            return exchange.answer(403, {"error": "not permitted"})
        self.databases[document[names[path]]] = {}
        return exchange.answer(201 if path == "/api/v2/buckets" else 200)

    def _query(self, exchange: Exchange, text: str) -> None:
        if made := re.fullmatch(r'CREATE DATABASE "(.*)"', text):
            if not self.may_create:
                return exchange.answer(403, {"error": "error authorizing query: not permitted"})
            self.databases.setdefault(made[1], {})
        elif dropped := re.fullmatch(r"DROP SERIES WHERE \"session\" = '(.*)'", text):
            if exchange.params["db"] not in self.databases:
                return exchange.answer(200, {"results": [{"statement_id": 0, "error": "database not found"}]})
            self._delete(exchange.params["db"], dropped[1])
        else:
            return exchange.answer(400, {"error": f"error parsing query: {text}"})
        return exchange.answer(200, {"results": [{"statement_id": 0}]})

    def _delete(self, database: str, session: str) -> None:
        points = self.databases.get(database, {})
        for key in [key for key in points if ("session", session) in key[1]]:
            del points[key]


def _refusal(version: str, bad: list[tuple[int, str, str]]) -> dict[str, Any]:
    if version == "v3":
        data = [{"original_line": line, "line_number": number, "error_message": why} for number, line, why in bad]
        return {"error": "partial write of line protocol occurred", "data": data}
    unparsed = [f"unable to parse '{line}': {why}" for _, line, why in bad if "type" not in why]
    if version == "v2":
        words = "\n".join(unparsed) or f"partial write: {bad[0][2]} dropped={len(bad)}"
        return {"code": "invalid", "message": words}
    if unparsed:
        return {"error": "partial write: " + "\n".join(unparsed)}
    return {"error": f"partial write: {bad[0][2]} dropped={len(bad)}"}


def times(count: int, fault: Fault) -> Fault:
    """Return a fault that happens so many times, and then no more."""
    left = [count]

    def _fault(exchange: Exchange) -> None:
        if left[0]:
            left[0] -= 1
            fault(exchange)

    return _fault


def says(status: int, document: object = None, **headers: str) -> Fault:
    return lambda exchange: exchange.answer(status, document, **headers)


def hangs_up(exchange: Exchange) -> None:
    exchange.hang_up()


def stores_then_hangs_up(exchange: Exchange) -> None:
    """Lose the answer: the batch is stored, and the client does not know."""
    answer = exchange.answer
    exchange.answer = lambda *_, **__: exchange.hang_up()  # type: ignore[method-assign]
    try:
        exchange.influx.serve(exchange, urlsplit(exchange.path).path)
    finally:
        exchange.answer = answer  # type: ignore[method-assign]


def cuts_its_answer(exchange: Exchange) -> None:
    exchange.is_answered = True
    exchange.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1000\r\n\r\n{")
    exchange.wfile.flush()
    exchange.hang_up()


def takes_at_most(lines: int) -> Fault:
    """Refuse larger batches."""

    def _fault(exchange: Exchange) -> None:
        if len(exchange.body.splitlines()) > lines:
            exchange.answer(413, {"error": "Request Entity Too Large"})

    return _fault


def is_slow(seconds: float) -> Fault:
    def _fault(exchange: Exchange) -> None:
        time.sleep(seconds)

    return _fault


def refuses_lines_with(*parts: str, version: str) -> Fault:
    """Refuse the lines that hold one of these, as if their types did not fit, and take the others."""

    def _fault(exchange: Exchange) -> None:
        lines = exchange.body.decode().split("\n")
        bad = [
            (number, line, "field type conflict: planted")
            for number, line in enumerate(lines, 1)
            if any(part in line for part in parts)
        ]
        if not bad:
            return
        refused = {number for number, _, _ in bad}
        exchange.body = "\n".join(line for number, line in enumerate(lines, 1) if number not in refused).encode()
        answer = exchange.answer
        exchange.answer = lambda *_, **__: answer(400, _refusal(version, bad))  # type: ignore[method-assign]
        try:
            exchange.influx.serve(exchange, urlsplit(exchange.path).path)
        finally:
            exchange.answer = answer  # type: ignore[method-assign]

    return _fault
