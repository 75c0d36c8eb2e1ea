"""Who is served: names of this host, pages of this server, bearers of the token; and what a browser may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchlab.access import RateLimit
from benchlab.config_schema import Web
from benchlab.errors import Exit, Fault
from benchlab.session import open_session
from support.cx_sessions import Recording
from support.web_api import HERE, answer, fits, served
from webd.security import HEADERS, MOST_BODY, Access
from webd.settings import access_of, static_dir_of

NOTES = "/api/sessions/dev/notes"
NOTE = {"text": "fan turned up", "author": "ada"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Recording(tmp_path, "dev").dir


def written(folder: Path, name: str = "notes.jsonl") -> list[Any]:
    path = folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_note_is_written_and_shown(folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        response = client.post(NOTES, json=NOTE)
        assert response.status_code == 201, response.text
        note = fits("Note", response.json())
        assert (note["text"], note["author"]) == ("fan turned up", "ada")
        assert answer(client, "/api/sessions/dev", "Session")["notes"] == [note]
    (line,) = written(folder)
    assert line["ts_ns"] // 1000 / 1000 == note["t_ms"]


def test_bookmark_is_written_as_an_event_and_shown(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev")
    at_ms = session.clock().now_ns() // 1000 / 1000 - 1000
    with served(tmp_path) as client:
        first = client.post("/api/sessions/dev/bookmarks", json={"name": "a", "t_ms": at_ms})
        second = client.post("/api/sessions/dev/bookmarks", json={"name": "b"})
        assert (first.status_code, second.status_code) == (201, 201), first.text
        marks = [fits("Bookmark", first.json()), fits("Bookmark", second.json())]
        assert marks[0]["t_ms"] == pytest.approx(at_ms, abs=0.002)
        assert answer(client, "/api/sessions/dev", "Session")["bookmarks"] == marks
    events = [line for line in written(session.dir, "raw/bookmarks.jsonl") if line["source"] == "bookmark"]
    assert [line["kv"] for line in events] == [{"text": "a"}, {"text": "b"}]


def test_bookmark_in_a_closed_session_is_refused_with_the_reason(folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        response = client.post("/api/sessions/dev/bookmarks", json={"name": "a"})
    assert response.status_code == 409
    assert "closed" in fits("Error", response.json())["error"]


def test_note_after_a_torn_line_is_not_glued_to_it(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.jsonl").write_bytes(b'{"ts_ns":1,"te')
    with served(tmp_path) as client:
        assert client.post(NOTES, json=NOTE).status_code == 201
        assert [note["text"] for note in answer(client, "/api/sessions/dev", "Session")["notes"]] == ["fan turned up"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "expected"),
        (b"[]", "expected"),
        (b'{"text":1}', "expected"),
        (b'{"text":""}', "expected"),
        (b'{"text":"  "}', "no text"),
        (b'{"text":"a\\u0000b"}', "cannot be printed"),
        (b'{"text":"a","more":1}', "unknown field"),
        (b'{"text":"' + b"a" * 4097 + b'"}', "expected"),
        (b'{"text":"a","author":"' + b"a" * 129 + b'"}', "expected"),
        (b'{"text":"\xff"}', "expected"),
        (b"[" * 5000, "expected"),
    ],
)
def test_body_that_is_no_note_is_refused_and_nothing_is_written(
    body: bytes, words: str, folder: Path, tmp_path: Path
) -> None:
    with served(tmp_path) as client:
        response = client.post(NOTES, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert words in fits("Error", response.json())["error"]
    assert written(folder) == []


@pytest.mark.parametrize("t_ms", [-1.0, 9.1e12, "now"])
def test_bookmark_at_no_time_of_the_past_is_refused(t_ms: Any, tmp_path: Path) -> None:
    open_session(tmp_path, "dev")
    with served(tmp_path) as client:
        response = client.post("/api/sessions/dev/bookmarks", json={"name": "a", "t_ms": t_ms})
        ahead = client.post("/api/sessions/dev/bookmarks", json={"name": "a", "t_ms": 8.9e12})
    assert (response.status_code, ahead.status_code) == (400, 400)
    assert "t_ms" in ahead.json()["error"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_body_that_a_foreign_form_could_send_is_refused(kind: str, folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        response = client.post(NOTES, content=json.dumps(NOTE), headers={"Content-Type": kind})
    assert response.status_code == 400
    assert "application/json" in response.json()["error"]
    assert written(folder) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_page_of_another_site_may_not_write(headers: dict[str, str], folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        response = client.post(NOTES, json=NOTE, headers=headers)
    assert response.status_code == 403
    fits("Error", response.json())
    assert written(folder) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": HERE, "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:3010", "X-Forwarded-Host": "localhost:3010"},
        {},
    ],
)
def test_page_of_this_server_may_write_also_through_a_proxy(
    headers: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    with served(tmp_path) as client:
        assert client.post(NOTES, json=NOTE, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3010", "127.0.0.1.evil.example", "[::2]", "", "10.0.0.1"]
)
def test_name_that_is_not_this_hosts_is_refused_for_everything(host: str, folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        for path in ("/api/live", "/", "/healthz", "/openapi.json"):
            assert client.get(path, headers={"Host": host}).status_code == 403, path
        assert client.post(NOTES, json=NOTE, headers={"Host": host}).status_code == 403
    assert written(folder) == []


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3010", "127.0.0.1:1", "127.8.8.8", "[::1]:3010", "a.localhost"]
)
def test_names_of_this_host_are_served(host: str, folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        assert client.get("/api/live", headers={"Host": host}).status_code == 200


def test_page_of_another_site_may_not_read_the_api_either(folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        assert client.get("/api/stream", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Bearer s3cret", 201), ("bearer  s3cret ", 201), ("Bearer s3cre", 401), ("Basic s3cret", 401), ("", 401)],
)
def test_token_is_asked_for_by_what_writes_and_by_nothing_else(
    authorization: str, status: int, folder: Path, tmp_path: Path
) -> None:
    with served(tmp_path, access=Access("s3cret", local=False), base_url="http://lab.example") as client:
        response = client.post(NOTES, json=NOTE, headers={"Authorization": authorization})
        assert response.status_code == status
        assert ("www-authenticate" in response.headers) == (status == 401)
        assert client.get("/api/live").status_code == 200
    assert len(written(folder)) == (status == 201)


def test_too_many_changes_are_refused_for_a_while(folder: Path, tmp_path: Path) -> None:
    with served(tmp_path, access=Access(limit=RateLimit(2, clock=lambda: 0.0))) as client:
        codes = [client.post(NOTES, json=NOTE).status_code for _ in range(3)]
        refused = client.post(NOTES, json=NOTE)
    assert codes == [201, 201, 429]
    assert refused.headers["retry-after"] == "1"


def test_body_that_is_too_long_is_refused_whether_it_says_so_or_not(folder: Path, tmp_path: Path) -> None:
    long = b'{"text":"' + b" " * MOST_BODY + b'a"}'
    headers = {"Content-Type": "application/json"}
    with served(tmp_path) as client:
        assert client.post(NOTES, content=long, headers=headers).status_code == 413
        assert client.post(NOTES, content=iter([long]), headers=headers).status_code == 413
        odd = client.post(NOTES, content=b"{}", headers={**headers, "Content-Length": "1e3"})
    assert odd.status_code == 400
    assert written(folder) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/live"), ("PUT", NOTES), ("DELETE", "/api/sessions/dev"), ("GET", NOTES), ("OPTIONS", "/api/live")],
)
def test_method_that_is_not_served_is_405_as_json(method: str, path: str, folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"]
    fits("Error", response.json())


@pytest.mark.parametrize("path", ["/", "/api/live", "/api/gone", "/healthz", "/api/sessions/dev", "/openapi.json"])
def test_every_answer_bears_the_headers_that_restrain_a_browser(path: str, folder: Path, tmp_path: Path) -> None:
    with served(tmp_path) as client:
        found = client.get(path).headers
    for name in HEADERS:
        assert found[name], name
    assert "frame-ancestors 'none'" in found["content-security-policy"]
    assert found["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in found


def test_address_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(
        Fault, match=r"\[web\]\.bind: found 0\.0\.0\.0.*BENCHLAB_WEB_TOKEN.*\[web\]\.token_file"
    ) as caught:
        access_of(Web(bind="0.0.0.0:3010"), env={})
    assert caught.value.code == Exit.CONFIG
    found = access_of(Web(bind="0.0.0.0:3010"), env={"BENCHLAB_WEB_TOKEN": "t"})
    assert (found.token, found.local) == ("t", False)
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o640)
    assert access_of(Web(bind="[::]:3010", token_file=str(file)), env={}).token == "s3cret"
    assert access_of(Web(bind="127.0.0.1:3010"), env={}).local
    assert access_of(Web(bind="[::1]:3010"), env={}).local


def test_settings_that_make_no_sense_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"\[web\]\.slow_ms: found 5\.0, expected at least ok_ms, 10\.0"):
        access_of(Web(slow_ms=5.0), env={})
    with pytest.raises(Fault, match=r"\[web\]\.static_dir: found .*gone, expected a folder"):
        static_dir_of(Web(static_dir=str(tmp_path / "gone")))
