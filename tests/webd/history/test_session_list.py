"""The list of sessions and what is said of one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from benchlab.session import Session
from support.mux_scenarios import T0
from support.mux_sessions import make_session, rows

OTHERS = ("2025-11-11T14-30-00Z", "2025-11-12T14-30-00Z")


def test_no_session_is_an_empty_list(client: TestClient) -> None:
    assert client.get("/api/sessions").json() == {"total": 0, "sessions": []}


def test_sessions_are_listed_newest_first_a_page_at_a_time(client: TestClient, data_root: Path) -> None:
    for name in OTHERS:
        make_session(data_root / "sessions" / name)
    (data_root / "sessions" / "current").symlink_to(OTHERS[0])
    found = client.get("/api/sessions").json()
    assert [row["id"] for row in found["sessions"]] == [*reversed(OTHERS)]
    assert [row["current"] for row in found["sessions"]] == [False, True]
    second = client.get("/api/sessions?limit=1&offset=1").json()
    assert (second["total"], [row["id"] for row in second["sessions"]]) == (2, [OTHERS[0]])


def test_a_search_looks_at_names_nodes_and_notes(client: TestClient, data_root: Path) -> None:
    named, noded, noted = (make_session(data_root / "sessions" / name) for name in ("Warm-1", "b", "c"))
    (noded.dir / "session.json").write_text('{"id":"b","node":"warm-host"}')
    (noted.dir / "notes.jsonl").write_text('{"ts_ns":1763800000000000000,"text":"fan was WARM","author":"k"}\ntorn')
    make_session(data_root / "sessions" / "cold")
    found = client.get("/api/sessions?q=warm").json()
    assert {row["id"] for row in found["sessions"]} == {named.name, "b", "c"}
    assert found["total"] == 3
    assert {row["id"]: row["notes"] for row in found["sessions"]}["c"] == 1


def test_a_session_that_cannot_be_read_is_listed_and_says_why(client: TestClient, session: Session) -> None:
    damaged = make_session(session.dir.with_name("damaged"))
    (damaged.dir / "session.json").write_text("{")
    listed = {row["id"]: row for row in client.get("/api/sessions").json()["sessions"]}
    assert listed["lab-1"]["why"] is None
    assert str(damaged.dir / "session.json") in listed["damaged"]["why"]
    answer = client.get("/api/sessions/damaged")
    assert answer.status_code == 500
    assert "session.json" in answer.json()["error"]


def test_a_session_tells_its_pairs_streams_notes_and_bookmarks(client: TestClient, session: Session) -> None:
    (session.dir / "notes.jsonl").write_text('{"ts_ns":1763800000123456789,"text":"läuft"}\nnonsense\n')
    found = client.get("/api/sessions/lab-1").json()
    frames = [row for row in rows(session) if row["source"] == "metric.latency"]
    assert found["pairs"] == [{"pair": ["ingress", "encoded"], "frames": 60, "drops": 1}]
    assert found["last_ms"] == max(row["ts_aligned_ns"] for row in frames) // 1000 / 1000
    assert (found["open"], found["sim"], found["provisional"], found["bad_lines"]) == (False, False, False, 0)
    assert found["notes"] == [{"t_ms": 1763800000123.456, "text": "läuft", "author": None}]
    assert found["bookmarks"] == [{"t_ms": (T0 + 5_000_000) / 1e6, "name": "läßt nach"}]
    streams = {stream["name"]: stream for stream in found["streams"]}
    assert set(streams) == {"benchlab", "bookmarks", "other", "pipeline"}
    assert streams["other"]["bad_lines"] == 2
    assert streams["pipeline"]["bad_lines"] == 0
    assert streams["pipeline"]["size_bytes"] == (session.raw / "pipeline.jsonl").stat().st_size
    assert streams["pipeline"]["first_ms"] == (T0 - 1_000_000) / 1e6
    assert found["size_bytes"] >= sum(path.stat().st_size for path in session.dir.rglob("*.jsonl"))


def test_a_damaged_aligned_line_is_counted(client: TestClient, session: Session) -> None:
    path = session.aligned / "latency.jsonl"
    path.write_bytes(b'{"ts_aligned_ns":1,\n' + path.read_bytes())
    (session.state / "mux.json").unlink()
    found = client.get("/api/sessions/lab-1").json()
    assert found["bad_lines"] == 1
    assert found["pairs"][0]["frames"] == 60


def test_simulated_data_says_so(client: TestClient, session: Session) -> None:
    path = session.aligned / "latency.jsonl"
    row = json.loads(path.read_bytes().splitlines()[0])
    path.write_text(json.dumps({**row, "sim": True, "sim_of": ["gpu.nvml"]}) + "\n")
    (session.state / "mux.json").unlink()
    found = client.get("/api/sessions/lab-1").json()
    assert (found["sim"], found["sim_of"]) == (True, ["gpu.nvml"])
    assert client.get("/api/sessions/lab-1/latency").json()["sim"] is True


@pytest.mark.parametrize(
    "name", ["nope", "current", "..", ".", "%2e%2e", "..%2f..%2fetc", "a%00b", "x" * 100, "lab-1%0a", "%C3%A4", " "]
)
@pytest.mark.parametrize("what", ["", "/latency", "/signals", "/export.csv", "/export.capframex.json"])
def test_what_is_no_session_is_not_found(client: TestClient, session: Session, name: str, what: str) -> None:
    answer = client.get(f"/api/sessions/{name}{what}")
    if answer.status_code == 200:  # a path that the client itself made shorter
        assert answer.request.url.path.rstrip("/") in ("/api/sessions", "/api", "")
        return
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("what", ["", "/latency", "/signals", "/export.csv", "/export.capframex.json"])
def test_a_session_that_is_deleted_while_it_is_viewed_is_gone(client: TestClient, session: Session, what: str) -> None:
    assert client.get(f"/api/sessions/lab-1{what}").status_code == 200
    shutil.rmtree(session.dir)
    answer = client.get(f"/api/sessions/lab-1{what}")
    assert (answer.status_code, set(answer.json())) == (404, {"error"})
    assert client.get("/api/sessions").json()["sessions"] == []
    assert not session.dir.exists()


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "offset=-1", "limit=1e3"])
def test_a_page_that_cannot_be_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/sessions?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(query.partition("=")[0])
