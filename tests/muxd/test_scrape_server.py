"""The HTTP side of muxd: what it answers to good requests, odd ones and many at once."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchlab.errors import Exit, Fault
from muxd.scrape import ScrapeServer

BODY = b"# HELP up is up\n" * 2000


class Served:
    def __init__(self) -> None:
        self.healthy = True
        self.renders = 0
        self.server = ScrapeServer("127.0.0.1:0", self.render, lambda: self.healthy)
        self.server.start()

    def render(self) -> bytes:
        self.renders += 1
        return BODY

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request(method, path, body)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def send(self, data: bytes) -> bytes:
        """Send bytes and return all that comes until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as link:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65536), b""))


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.server.close()


def test_metrics_are_served_in_the_text_format(served: Served) -> None:
    for path in ("/metrics", "/metrics?name[]=up"):
        status, headers, body = served.ask("GET", path)
        assert (status, body) == (200, BODY)
        assert headers["content-type"].startswith("text/plain; version=")
        assert headers["content-length"] == str(len(BODY))


def test_health_is_200_and_503_once_the_loop_stands_still(served: Served) -> None:
    assert served.ask("GET", "/healthz")[0] == 200
    served.healthy = False
    status, _, body = served.ask("GET", "/healthz")
    served.healthy = True
    assert status == 503 and json.loads(body)["status"]


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/../metrics", "/%2e%2e/etc/passwd", "/" + "x" * 3000])
def test_other_paths_are_404_in_json_and_render_nothing(path: str, served: Served) -> None:
    before = served.renders
    status, headers, body = served.ask("GET", path)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert "/metrics" in json.loads(body)["error"]
    assert served.renders == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_methods_that_change_something_are_405_in_json(method: str, served: Served) -> None:
    status, headers, body = served.ask(method, "/metrics", b"x" * 1000)
    assert (status, headers["content-type"], headers["allow"]) == (405, "application/json", "GET, HEAD")
    assert json.loads(body)["error"]


def test_head_answers_with_headers_alone(served: Served) -> None:
    for path, status in (("/metrics", 200), ("/healthz", 200), ("/nothing", 404)):
        answer = served.send(b"HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.endswith(b"\r\n\r\n") and answer.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize(
    "request_bytes",
    [b"\r\n\r\n", b"garbage\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"\xff\xfe\x00\r\n\r\n"],
)
def test_what_is_no_request_is_refused_and_harms_nobody(request_bytes: bytes, served: Served) -> None:
    answer = served.send(request_bytes)
    assert answer == b"" or b"error" in answer
    assert served.ask("GET", "/metrics")[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
    ids=["long line", "many headers", "long header"],
)
def test_a_request_without_bounds_is_cut_off(request_bytes: bytes, served: Served) -> None:
    try:
        answer = served.send(request_bytes)
    except ConnectionResetError:
        answer = b""  # it hung up while we were still talking
    assert answer == b"" or answer.split()[1] in (b"414", b"431")
    assert served.ask("GET", "/metrics")[0] == 200


def test_slow_clients_keep_nobody_waiting(served: Served) -> None:
    slow = [socket.create_connection(("127.0.0.1", served.server.port)) for _ in range(20)]
    for link in slow:
        link.sendall(b"GET /metrics HT")
    began_s = time.monotonic()
    assert served.ask("GET", "/metrics")[0] == 200
    assert time.monotonic() - began_s < 5  # the patience with a slow one is ten seconds
    for link in slow:
        link.close()


def test_a_client_that_leaves_early_harms_nobody(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.server.port)) as link:
            link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leave with a reset
    assert served.ask("GET", "/metrics")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_failure_to_render_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> bytes:
        raise KeyError("rail")

    server = ScrapeServer("127.0.0.1:0", fail, lambda: True)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        link.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert link.recv(100) == b""
    server.close()
    assert [record.getMessage().endswith("failed: KeyError('rail')") for record in caplog.records] == [True]


def test_fifty_scrapes_at_once_are_all_answered(served: Served) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: served.ask("GET", "/metrics"), range(50)))
    assert [(status, body == BODY) for status, _, body in answers] == [(200, True)] * 50


def test_ipv6_addresses_are_served_where_there_are_any() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        with pytest.raises(Fault, match="cannot be served"):
            ScrapeServer("[::1]:0", lambda: b"", lambda: True)
        return
    server = ScrapeServer("[::1]:0", lambda: b"", lambda: True)
    server.start()
    with socket.create_connection(("::1", server.port), timeout=10) as link:
        link.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 200")
    server.close()


def test_address_of_another_host_is_one_clear_line() -> None:
    with pytest.raises(Fault, match=r"192\.0\.2\.1:9109 cannot be served") as caught:
        ScrapeServer("192.0.2.1:9109", lambda: b"", lambda: True)
    assert caught.value.code is Exit.IO
    assert "--prom-bind or [prometheus].bind" in caught.value.message
