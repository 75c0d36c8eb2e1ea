"""Latency and signals over HTTP against the files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from benchlab.query.aligned import LATENCY_FILE
from benchlab.query.percentiles import percentile
from benchlab.query.segments import extent
from benchlab.session import Session
from support.cx_sessions import Recording, drop, steady
from support.histories import vouch
from support.mux_sessions import rows
from webd.history.shelf import History, Shelf

URL = "/api/sessions/lab-1/latency"


def frames_of(session: Session) -> list[dict[str, Any]]:
    return [row for row in rows(session) if row["source"] == "metric.latency"]


def test_few_frames_come_one_by_one(client: TestClient, session: Session) -> None:
    found = client.get(URL).json()
    frames = frames_of(session)
    assert (found["session"], found["pair"], found["resolution"]) == ("lab-1", ["ingress", "encoded"], "frames")
    assert (found["frames"], found["drops"], found["indexing"]) == (60, 1, 1)
    columns = found["columns"]
    assert columns["t_ms"] == [row["ts_aligned_ns"] // 1000 / 1000 for row in frames]
    for name in ("lat_ms", "power_w", "energy_j", "frame", "temp_c"):
        assert columns[name] == [row["kv"].get(name) for row in frames]
    lat_ms = sorted(row["kv"]["lat_ms"] for row in frames)
    assert found["stats"]["p95_ms"] == percentile(lat_ms, 95)
    assert (found["stats"]["percentile_error"], found["stats"]["max_ms"]) == (0, lat_ms[-1])
    assert sum(found["histogram"]["counts"]) == 60
    assert len(found["histogram"]["edges_ms"]) == len(found["histogram"]["counts"]) + 1


def test_many_frames_come_as_buckets_that_keep_extremes(client: TestClient, session: Session) -> None:
    found = client.get(f"{URL}?points=7").json()
    frames, columns = frames_of(session), found["columns"]
    assert found["resolution"] == "buckets"
    assert 0 < len(columns["t_ms"]) <= 7
    assert {len(column) for column in columns.values()} == {len(columns["t_ms"])}
    assert columns["t_ms"] == sorted(columns["t_ms"])
    assert sum(columns["n"]) == 60
    assert sum(columns["drops"]) == 1
    assert min(columns["lat_min_ms"]) == min(row["kv"]["lat_ms"] for row in frames)
    assert max(columns["power_max_w"]) == max(row["kv"].get("power_w", 0) for row in frames)
    assert sum(columns["energy_j"]) == pytest.approx(sum(row["kv"].get("energy_j", 0) for row in frames))


def test_the_times_of_an_answer_may_be_sent_back(client: TestClient, session: Session) -> None:
    whole = client.get(URL).json()
    again = client.get(URL, params={"from": whole["columns"]["t_ms"][0], "to": whole["columns"]["t_ms"][-1]}).json()
    assert again["columns"] == whole["columns"]
    one_ms = whole["columns"]["t_ms"][17]
    one = client.get(URL, params={"from": one_ms, "to": one_ms}).json()
    assert (one["columns"]["t_ms"], one["stats"]["n"], one["drops"]) == ([one_ms], 1, 0)
    assert (one["from_ms"], one["to_ms"]) == (one_ms, one_ms)


def test_an_empty_stretch_is_empty_and_says_so(client: TestClient, session: Session) -> None:
    found = client.get(f"{URL}?from=5&to=6").json()
    assert (found["frames"], found["columns"]["t_ms"], found["gaps"]) == (0, [], [])
    assert (found["stats"]["n"], found["stats"]["p99_ms"], found["stats"]["energy_j"]) == (0, None, None)
    assert found["histogram"] == {"edges_ms": [], "counts": []}


def test_a_session_without_aligned_files_has_no_pair(client: TestClient, data_root: Path) -> None:
    Recording(data_root, "raw-only")
    found = client.get("/api/sessions/raw-only/latency").json()
    assert (found["pair"], found["frames"], found["from_ms"]) == (None, 0, None)
    assert client.get("/api/sessions/raw-only/signals").json()["available"] == []
    assert client.get("/api/sessions/raw-only/export.csv").status_code == 404


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("from=6&to=5", "from"),
        ("from=x", "from"),
        ("to=nan", "to"),
        ("to=1e400", "to"),
        ("from=-1", "from"),
        ("points=0", "points"),
        ("points=10001", "points"),
        ("points=1.5", "points"),
        ("points=%D9%A3", "points"),
        ("pair=ingress", "pair"),
        ("pair=a,b,c", "pair"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(client: TestClient, session: Session, query: str, named: str) -> None:
    answer = client.get(f"{URL}?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)


def test_an_unknown_pair_is_not_found_and_those_there_are_are_named(client: TestClient, session: Session) -> None:
    answer = client.get(f"{URL}?pair=a,b")
    assert answer.status_code == 404
    assert "ingress to encoded" in answer.json()["error"]
    both = client.get(URL, params=[("pair", "ingress"), ("pair", "encoded")])
    assert both.json()["frames"] == 60


def test_rows_that_come_are_there_and_provisional_ones_say_so(client: TestClient, data_root: Path) -> None:
    recording = Recording(data_root, "lab-1")
    path = recording.aligned(steady(30))
    vouch(recording, path.stat().st_size)
    assert client.get(URL).json()["provisional"] is False
    recording.aligned([*steady(40), drop(steady(41)[-1]["ts_aligned_ns"])])
    found = client.get(URL).json()
    assert (found["frames"], found["drops"], found["provisional"]) == (40, 1, True)
    recording.aligned(steady(35))
    vouch(recording, path.stat().st_size, generation=2)
    assert client.get(URL).json()["frames"] == 35


def test_signals_are_named_and_come_when_they_are_asked_for(client: TestClient, session: Session) -> None:
    url = "/api/sessions/lab-1/signals"
    found = client.get(url).json()
    assert found["available"] == [
        {"source": "benchlab.usb", "dev": None, "key": "p_sys", "unit": "W", "kind": "gauge"},
    ]
    assert found["series"] == []
    true = [
        (r["ts_aligned_ns"] // 1000 / 1000, r["kv"]["p_sys"])
        for r in rows(session, "signals.jsonl")
        if "p_sys" in r["kv"]
    ]
    (series,) = client.get(f"{url}?source=benchlab.usb&key=p_sys&key=other").json()["series"]
    assert series["resolution"] == "samples"
    assert list(zip(series["columns"]["t_ms"], series["columns"]["value"], strict=True)) == true
    assert client.get(f"{url}?key=temp_c").json()["series"] == []
    assert client.get(f"{url}?key=p_sys&points=0").status_code == 400


def test_what_is_large_is_indexed_in_the_background(data_root: Path) -> None:
    recording = Recording(data_root, "large")
    recording.aligned(steady(15_000))
    history, shelf = History(recording.dir), Shelf()
    share = shelf.indexed(history, LATENCY_FILE, patience_s=0)
    assert 0 < share < 1

    def indexed_bytes() -> int:
        now = extent(recording.dir, LATENCY_FILE)
        with history.index.connected() as connection:
            return history.index.state(connection, LATENCY_FILE, now).offset

    size = (recording.dir / "aligned" / LATENCY_FILE).stat().st_size
    deadline = time.monotonic() + 60
    while size - indexed_bytes() > 600_000 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert size - indexed_bytes() <= 600_000
    assert shelf.indexed(history, LATENCY_FILE) == 1


def test_the_current_session_is_indexed_as_it_grows(data_root: Path) -> None:
    recording = Recording(data_root, "growing")
    recording.aligned(steady(5000))
    shelf = Shelf()
    shelf.keep(lambda: None)
    shelf.keep(lambda: recording.dir.with_name("gone"))
    shelf.keep(lambda: recording.dir)
    assert (recording.dir / "state" / "index" / "history.db").exists()
