"""The description for programs and the page for people say what the server does, and need nothing but the server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from benchlab.config_schema import OWN_VARIABLES, PiMon
from pimon.api.history import CAPACITY
from pimon.api.openapi import document
from pimon.api.readings import MAX_BLOCKED, Readings
from pimon.api.schemas import MAX_PROCESSES, SORTS
from pimon.api.server import SORT_KEYS, Api, Server
from pimon.api.stats import FIELDS
from pimon.snapshot import Hardware, SystemSample
from support.pimon_api import PI4, FakeSampler, ask, served
from support.tree import REPOSITORY

PAGE = (REPOSITORY / "docs" / "PIMON.md").read_text()
ROUTES = Api(Readings(FakeSampler(), 2.0), PiMon()).routes()
QUERIES = ("/stats?fields=power,gpu", "/processes?sort=name&limit=100", "/metrics/history?limit=1", "/stats?block=true")


@pytest.fixture(scope="module", params=["Pi", "host that tells nothing", "made up"])
def api(request: pytest.FixtureRequest) -> Iterator[Server]:
    samplers = {
        "Pi": FakeSampler(),
        "host that tells nothing": FakeSampler(SystemSample(), Hardware()),
        "made up": FakeSampler(is_simulated=True),
    }
    with served(samplers[request.param], cache_seconds=3600) as server:
        server.offer(PI4)  # so that there is a history
        yield server


def test_the_description_is_valid_openapi() -> None:
    validate(document(), cls=OpenAPIV31SpecValidator)


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    assert {(path, method.upper()) for path, methods in document()["paths"].items() for method in methods} == {
        (path, method) for path, methods in ROUTES.items() for method in methods
    }


def described(path: str, status: int) -> dict[str, Any]:
    """Return what the description says of an answer, with what it refers to in it."""
    found = document()
    answer = found["paths"][path]["get"]["responses"][str(status)]
    if "$ref" in answer:
        answer = found["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return {**answer, "components": found["components"]}


def hold(path: str, status: int, headers: dict[str, str], body: bytes) -> None:
    """Fail unless an answer is as it is described."""
    answer = described(path.partition("?")[0], status)
    kind = headers["content-type"].partition(";")[0]
    assert kind in answer["content"], path
    if kind == "application/json":
        schema = {**answer["content"][kind]["schema"], "components": answer["components"]}
        Draft202012Validator(schema).validate(json.loads(body))
    assert {name.lower() for name in answer.get("headers", {})} <= headers.keys()


@pytest.mark.parametrize("path", [*ROUTES, *QUERIES])
def test_every_route_answers_as_its_schema_says(path: str, api: Server) -> None:
    status, headers, body = ask(api.port, path)
    assert status == 200
    hold(path, status, headers, body)


@pytest.mark.parametrize("path", [path for path in ROUTES if path not in ("/", "/docs.css", "/docs.js")])
def test_every_error_answers_as_its_schema_says(path: str) -> None:
    sampler = FakeSampler()
    with served(sampler, rate_limit=2) as server:
        answers = [ask(server.port, f"{path}?wrong=1")]
        sampler.error = RuntimeError("no luck")
        answers.append(ask(server.port, path))
        answers.append(ask(server.port, path))
    assert [answers[0][0], answers[2][0]] == [400, 429]
    assert answers[1][0] in (200, 500)
    for status, headers, body in answers:
        hold(path, status, headers, body)


def test_a_schema_refuses_what_the_server_must_not_answer() -> None:
    schema = {
        **described("/stats", 200)["content"]["application/json"]["schema"],
        "components": document()["components"],
    }
    judge = Draft202012Validator(schema)
    for wrong in ({"cpu_temp": "hot"}, {"load_avg": [1.0]}, {"memory": {"percent": 101}}, {"cpu_tmp": 1.0}):
        assert not judge.is_valid(wrong), wrong


def test_parameters_are_described_with_what_the_server_takes() -> None:
    paths = document()["paths"]
    asked = {
        path: {each["name"]: each["schema"] for each in paths[path]["get"].get("parameters", ())} for path in paths
    }
    assert set(asked["/stats"]) == {"block", "cache", "fields"}
    assert asked["/processes"]["sort"]["enum"] == list(SORTS) == list(SORT_KEYS)
    assert asked["/processes"]["limit"]["maximum"] == MAX_PROCESSES
    assert asked["/metrics/history"]["limit"]["maximum"] == CAPACITY
    assert {path for path, names in asked.items() if names} == {"/stats", "/processes", "/metrics/history"}


class Resources(HTMLParser):
    """Collects what a page loads and links to, its anchors, and what a strict policy would not let run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.forms: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loaded += [given[name] for name in ("src", "href") if name in given and tag in ("script", "link", "img")]
        self.links += [given["href"]] if tag == "a" else []
        self.anchors |= {given["id"]} if "id" in given else set()
        self.forms += [given["data-path"]] if tag == "form" else []
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []


def test_the_page_needs_nothing_from_outside_and_runs_nothing_inline(api: Server) -> None:
    _, headers, body = ask(api.port, "/")
    page = Resources(body.decode())
    assert page.loaded == ["data:,", "docs.css", "docs.js"]
    assert page.inline == []
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy and "http" not in policy
    for path in ("/", "/docs.css", "/docs.js"):
        assert not re.search(rb"https?://|@import|url\(", ask(api.port, path)[2]), path


def test_the_page_has_every_path_to_try_and_its_links_lead_somewhere(api: Server) -> None:
    page = Resources(ask(api.port, "/")[2].decode())
    assert page.forms == [path for path in document()["paths"] if path not in ("/", "/docs.css", "/docs.js")]
    assert page.links and all(link.removeprefix("#") in page.anchors for link in page.links)
    assert "{{" not in ask(api.port, "/")[2].decode()


def cells(heading: str) -> list[list[str]]:
    """Return the rows of the table in docs/PIMON.md whose first column has this heading."""
    (table,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[ -|]*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_documentation_has_every_path_and_every_parameter() -> None:
    paths = document()["paths"]
    rows = {named(row[0])[0]: set(named(row[1])) for row in cells("path")}
    assert set(rows) == set(paths)
    for path, get in paths.items():
        wanted = {each["name"] for each in get["get"].get("parameters", ())}
        assert wanted == {name.partition("=")[0] for name in rows[path]}, path


def test_the_documentation_has_every_key_of_stats_and_every_variable() -> None:
    assert [named(row[0])[0] for row in cells("key")] == list(FIELDS)
    rows = {named(row[0])[0]: row[1] for row in cells("variable")}
    ours = {name: key.partition(".")[2] for name, key in OWN_VARIABLES.items() if name.startswith("PISTAT_")}
    assert set(rows) == set(ours)
    defaults = {name: str(getattr(PiMon(), key)) for name, key in ours.items()}
    assert {name: cell.strip("`") for name, cell in rows.items()} == {**defaults, "PISTAT_CACHE_SECONDS": "2"}
    assert defaults["PISTAT_CACHE_SECONDS"] == "2.0"


def test_the_documentation_has_every_status_and_bound() -> None:
    statuses = {status for path in document()["paths"].values() for status in path["get"]["responses"]}
    assert {row[0] for row in cells("status")} == statuses | {"404", "405"}
    for said in (f"{CAPACITY} samples", f"up to {MAX_PROCESSES}", f"{MAX_BLOCKED} clients"):
        assert said in PAGE, said
