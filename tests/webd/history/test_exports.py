"""Files to take away: the same bytes as ever, the same as cx_exporter's."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from benchlab.session import Session
from cx_exporter.main import main as cx_exporter
from support.cx_sessions import PAIR, Recording, frame, steady
from support.mux_sessions import rows

GOLDEN = Path(__file__).resolve().parents[2] / "fixtures" / "webd" / "history" / "lab-1.csv"
CSV = "/api/sessions/lab-1/export.csv"
JSON = "/api/sessions/lab-1/export.capframex.json"


def test_the_csv_of_a_session_is_the_golden_one(client: TestClient, session: Session) -> None:
    answer = client.get(CSV)
    assert answer.headers["content-disposition"] == 'attachment; filename="lab-1_ingress_to_encoded.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == GOLDEN.read_text()


def test_the_plain_csv_holds_every_row_of_the_file(client: TestClient, session: Session) -> None:
    found = list(csv.DictReader(io.StringIO(client.get(f"{CSV}?plain=1").text)))
    written = rows(session)
    assert [int(row["ts_aligned_ns"]) for row in found] == [row["ts_aligned_ns"] for row in written]
    assert [row["kind"] for row in found] == [
        "frame" if row["source"] == "metric.latency" else "drop" for row in written
    ]
    assert [row["lat_ms"] for row in found] == [str(row["kv"].get("lat_ms", "")) for row in written]
    assert client.get(f"{CSV}?plain=2").status_code == 400


def test_the_csv_of_a_stretch_holds_what_the_chart_shows(client: TestClient, session: Session) -> None:
    shown = client.get("/api/sessions/lab-1/latency").json()["columns"]
    ends = {"from": shown["t_ms"][10], "to": shown["t_ms"][20]}
    found = list(csv.DictReader(io.StringIO(client.get(f"{CSV}?plain=1", params={**ends, "plain": "1"}).text)))
    assert [float(row["lat_ms"]) for row in found] == shown["lat_ms"][10:21]


def test_text_of_a_frame_cannot_break_a_row(client: TestClient, data_root: Path) -> None:
    hostile = 'a,"b\nc'
    recording = Recording(data_root, "lab-1")
    recording.aligned([frame(17, 1.0, frame=hostile), frame(18, 1.0, ("x", "y\n#"), frame=1)])
    assert [row["frame"] for row in csv.DictReader(io.StringIO(client.get(f"{CSV}?plain=1").text))] == [hostile]
    said = client.get(CSV, params=[("pair", "x"), ("pair", "y\n#")])
    assert "# pair: x to y #\n" in said.text
    assert said.headers["content-disposition"] == 'attachment; filename="lab-1_x_to_y__.csv"'


def test_the_capframex_file_is_that_of_cx_exporter(
    client: TestClient, session: Session, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "lab-1.json"
    options = ["--data-root", str(data_root), "--session", "lab-1", "--format", "json", "--out", str(out)]
    assert cx_exporter([*options, "--stage-a", PAIR[0], "--stage-b", PAIR[1]]) == 0
    answer = client.get(JSON)
    assert answer.headers["content-disposition"] == 'attachment; filename="lab-1_ingress_to_encoded.capframex.json"'
    assert answer.content == out.read_bytes()


def test_a_stretch_of_a_capture_has_its_frames(client: TestClient, data_root: Path) -> None:
    Recording(data_root, "lab-1").aligned(steady(9000))
    shown = client.get("/api/sessions/lab-1/latency?points=10000").json()["columns"]["t_ms"]
    found = client.get(JSON, params={"from": shown[8000], "to": shown[8099]}).json()
    data = found["Runs"][0]["CaptureData"]
    assert len(data["TimeInSeconds"]) == 100
    assert data["MsBetweenDisplayChange"][0] == 16.0  # the frame before the stretch is known
    nothing = client.get(JSON, params={"from": 5, "to": 6})
    assert nothing.status_code == 404
    assert "ingress to encoded" in nothing.json()["error"]
