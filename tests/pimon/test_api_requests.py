"""Requests that are wrong, too many, or in gzip: one clear answer in JSON for each."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.cli import free_port
from benchlab.errors import Exit, Fault
from benchlab.httpd import Refusal, Request
from pimon.api.gzipped import MIN_SIZE, accepts_gzip
from pimon.api.query import boolean, integer, parameters
from pimon.api.rate_limit import MAX_CLIENTS, RateLimit
from pimon.api.server import Server
from support.pimon_api import FakeSampler, ask, get, served


@pytest.fixture(scope="module")
def api() -> Iterator[Server]:
    with served(FakeSampler(), cache_seconds=3600) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/stats?block=maybe", "block: found 'maybe', expected true or false"),
        ("/stats?block=", "block: found '', expected true or false"),
        ("/stats?cache=2", "cache: found '2'"),
        ("/stats?cache=true&cache=false", "cache: found it twice"),
        ("/stats?blok=true", "found the parameter 'blok', expected block or cache or fields"),
        ("/stats?fields=nonsense", "fields: found 'nonsense', expected some of cpu_temp"),
        ("/stats?fields=cpu_tmp", "found 'cpu_tmp', expected cpu_temp"),
        ("/stats?fields=", "fields: found ''"),
        ("/stats?fields=%ff", "found a query"),
        ("/stats?" + "&".join(["block=true"] * 50), "found a query"),
        ("/processes?sort=size", "sort: found 'size', expected cpu or memory or name or pid or time"),
        ("/processes?limit=ten", "limit: found 'ten', expected a number from 1 to 100"),
        ("/processes?limit=0", "limit: found '0'"),
        ("/processes?limit=-1", "limit: found '-1'"),
        ("/processes?limit=101", "limit: found '101'"),
        ("/processes?limit=%D9%A1", "limit: found"),
        ("/processes?limit=" + "9" * 5000, "..."),
        ("/metrics/history?limit=721", "expected a number from 1 to 720"),
        ("/health?deep=1", "found the parameter 'deep', expected no parameter"),
        ("/network/interfaces?x", "found the parameter 'x'"),
        ("/system/config?x=1", "found the parameter 'x'"),
        ("/storage/devices?x=1", "found the parameter 'x'"),
        ("/openapi.json?x=1", "found the parameter 'x'"),
    ],
)
def test_a_bad_parameter_is_400_and_says_what_was_expected(path: str, words: str, api: Server) -> None:
    status, headers, body = ask(api.port, path)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert words in json.loads(body)["error"]
    assert len(body) < 400


@pytest.mark.parametrize("path", ["/stats?block=FALSE&cache=1", "/stats?cache=True", "/stats?", "/health?", "/?"])
def test_what_is_meant_well_is_taken(path: str, api: Server) -> None:
    assert ask(api.port, path)[0] == 200


@pytest.mark.parametrize("path", ["/stat", "/stats/", "/stats/cpu", "/../etc/passwd", "/docs.html", "/favicon.ico"])
def test_another_path_is_404_and_names_those_that_are_there(path: str, api: Server) -> None:
    status, found = get(api.port, path)
    assert status == 404 and "/stats" in found["error"] and "/system/config" in found["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/stats", "/", "/processes"])
def test_another_method_is_405(method: str, path: str, api: Server) -> None:
    status, headers, body = ask(api.port, path, method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert json.loads(body)["error"] == f"found {method}, expected GET, HEAD"


def test_head_has_the_length_and_nothing_else(api: Server) -> None:
    status, headers, body = ask(api.port, "/stats", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > MIN_SIZE


def test_gzip_is_the_same_and_shorter(api: Server) -> None:
    _, plain, body = ask(api.port, "/stats")
    status, headers, packed = ask(api.port, "/stats", Accept_Encoding="br, gzip;q=0.8")
    assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
    assert gzip.decompress(packed) == body
    assert int(headers["content-length"]) == len(packed) < len(body)
    assert "content-encoding" not in plain and plain["vary"] == "Accept-Encoding"


def test_a_short_answer_is_not_worth_packing(api: Server) -> None:
    _, headers, body = ask(api.port, "/health", Accept_Encoding="gzip")
    assert json.loads(body)["status"] == "healthy" and "content-encoding" not in headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("gzip;q=much", False),
        (";;,,", False),
    ],
)
def test_gzip_is_sent_only_to_those_who_take_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


@given(st.text())
def test_any_header_is_an_answer(header: str) -> None:
    assert accepts_gzip(header) in (True, False)


@given(
    st.text(alphabet=st.characters(codec="latin-1")) | st.from_regex(r"(block|limit|x)=[%&=a-f0-9]*", fullmatch=True)
)
def test_any_query_is_parameters_or_400(query: str) -> None:
    request = Request("GET", "/stats", None, query=query)  # type: ignore[arg-type]
    try:
        asked = parameters(request, "block", "limit")
        assert set(asked) <= {"block", "limit"}
        assert 1 <= integer(asked, "limit", 10, 100) <= 100
        assert boolean(asked, "block", False) in (True, False)
    except Refusal as refusal:
        assert refusal.status == 400 and "expected" in str(refusal)


def test_every_answer_may_not_be_cached_nor_guessed_at(api: Server) -> None:
    for path in ("/stats", "/health", "/", "/docs.js", "/openapi.json"):
        headers = ask(api.port, path)[1]
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff"), path


def test_by_default_nobody_is_limited(api: Server) -> None:
    assert {ask(api.port, "/health")[0] for _ in range(100)} == {200}


def test_above_the_limit_is_429_in_the_documented_form() -> None:
    with served(FakeSampler(), rate_limit=3) as server:
        answers = [ask(server.port, "/health") for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
    _, headers, body = answers[-1]
    assert json.loads(body) == {"error": "Rate limit exceeded", "message": "Maximum 3 requests per 60 seconds"}
    assert 1 <= int(headers["retry-after"]) <= 60


def asks(client: str) -> Request:
    return Request("GET", "/stats", None, client=client)  # type: ignore[arg-type]


def test_the_limit_is_that_of_each_client_in_any_minute() -> None:
    now_s = [1000.0]
    limit = RateLimit(2, clock=lambda: now_s[0])
    limit.check(asks("10.0.0.1"))
    now_s[0] += 30.5
    limit.check(asks("10.0.0.1"))
    with pytest.raises(Refusal) as refused:
        limit.check(asks("10.0.0.1"))
    assert refused.value.headers == {"Retry-After": "30"}
    limit.check(asks("10.0.0.2"))
    now_s[0] += 30.0
    limit.check(asks("10.0.0.1"))
    with pytest.raises(Refusal):
        limit.check(asks("10.0.0.1"))


def test_the_limit_remembers_a_bounded_number_of_clients() -> None:
    limit = RateLimit(2)
    for number in range(3 * MAX_CLIENTS):
        limit.check(asks(f"fd00::{number:x}"))
    assert len(limit._asked) == MAX_CLIENTS


def test_debug_logs_each_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served(FakeSampler(), debug=True) as server:
        ask(server.port, "/processes?limit=x")
        ask(server.port, "/health")
    assert "127.0.0.1 GET /processes: 400 in" in caplog.text
    assert "127.0.0.1 GET /health: 200 in" in caplog.text


def test_a_taken_port_names_its_owner_and_the_variable_that_moves_it() -> None:
    port = free_port()
    code = (
        "import socket, sys, time\n"
        f"s = socket.socket(); s.bind(('127.0.0.1', {port})); s.listen(); print('ready', flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None and owner.stdout.readline() == b"ready\n"
        with pytest.raises(Fault) as caught, served(FakeSampler(), port=port):
            pass
    finally:
        owner.kill()
        owner.communicate()
    assert caught.value.code is Exit.IO
    assert f"127.0.0.1:{port} is taken by " in caught.value.message
    assert f"(pid {owner.pid})" in caught.value.message
    assert "set PISTAT_PORT" in caught.value.message and "--port" in caught.value.message
