"""The API as its own document describes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from benchlab.config import Config
from benchlab.config_schema import Pipeline
from benchlab.session import open_session
from support.cx_sessions import MS, PAIR, START_NS, Recording, board, drop, event, frame, steady
from support.web_api import DOCUMENT, answer, fits, served
from webd.app import make_app
from webd.desk import Desk


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    found = Recording(tmp_path, "dev")
    rows = [*steady(400, power_w=240.5, energy_j=2.5, frame=7), frame(START_NS + 6_400 * MS, 9.0, power_why="gap")]
    found.aligned([*rows, drop(START_NS + 100 * MS, frame=3)])
    found.raw(board(START_NS, START_NS + 500 * MS))
    return found


def test_document_is_openapi() -> None:
    validate(json.loads(json.dumps(DOCUMENT)))


def test_every_route_is_in_the_document_and_nothing_else_but_what_comes_with_virtual_machines(tmp_path: Path) -> None:
    app = make_app(Desk(tmp_path, Config()))
    routes = [route for route in app.routes if isinstance(route, Route)]
    served_here = {(route.path, method.lower()) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    described = {(path, method) for path, of in DOCUMENT["paths"].items() for method in of if method in ("get", "post")}
    assert served_here <= described
    assert {path for path, _ in described - served_here} <= {p for p in DOCUMENT["paths"] if "/telemetry/" in p}


def test_every_schema_of_the_document_is_used() -> None:
    text = json.dumps(DOCUMENT)
    events = {"Frames", "Drops", "Rewind", "End"}  # what the stream sends; a test of the stream holds it against them
    unused = {name for name in DOCUMENT["components"]["schemas"] if f'schemas/{name}"' not in text}
    assert unused == events


def test_live_is_exactly_what_the_documents_promise(recording: Recording, tmp_path: Path) -> None:
    with served(tmp_path, "dev") as client:
        found = answer(client, "/api/live", "Live")
    assert list(found) == ["rows"]
    assert len(found["rows"]) == 300
    assert all(list(row) == ["t", "lat_ms", "power_w"] for row in found["rows"])
    assert found["rows"][0]["t"] == 0.0
    assert found["rows"][1] == {"t": 0.016, "lat_ms": 10.5, "power_w": 240.5}
    assert found["rows"][-1] == {"t": round(299 * 0.016, 6), "lat_ms": 9.0, "power_w": None}


def test_live_goes_on_from_its_cursor_and_begins_anew_with_one_that_is_void(
    recording: Recording, tmp_path: Path
) -> None:
    with served(tmp_path, "dev") as client:
        first = answer(client, "/api/live?since=", "Live")
        assert (first["session"], first["reset"], len(first["rows"])) == ("dev", True, 300)
        assert first["hello"]["default_pair"] == list(PAIR)
        again = answer(client, f"/api/live?since={first['cursor']}", "Live")
        assert (again["rows"], again["reset"], again["cursor"]) == ([], False, first["cursor"])
        void = answer(client, "/api/live?since=dev.1.2.00000000", "Live")
        assert (len(void["rows"]), void["reset"]) == (300, True)


def test_pair_that_is_shown_first_is_the_configured_one(tmp_path: Path) -> None:
    other = ("encoded", "shown")
    Recording(tmp_path, "dev").aligned([frame(START_NS, 1.0), frame(START_NS, 2.0, other)])
    config = msgspec.structs.replace(Config(), pipeline=Pipeline(stage_a="encoded", stage_b="shown"))
    with served(tmp_path, "dev", config=config) as client:
        assert [row["lat_ms"] for row in answer(client, "/api/live", "Live")["rows"]] == [2.0]
        assert [row["lat_ms"] for row in answer(client, "/api/live?pair=ingress,encoded", "Live")["rows"]] == [1.0]
    with served(tmp_path, "dev") as client:
        assert [row["lat_ms"] for row in answer(client, "/api/live", "Live")["rows"]] == [1.0]


def test_nothing_recorded_yet_is_empty_and_no_error(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        assert answer(client, "/api/live", "Live") == {"rows": []}
        assert answer(client, "/api/live?since=", "Live")["session"] is None
        assert answer(client, "/api/sources", "Sources")["session"] is None
        assert answer(client, "/api/sessions", "Sessions") == {"total": 0, "sessions": []}
        assert answer(client, "/healthz", "Health")["status"] == "ok"


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/api/sessions", "Sessions"),
        ("/api/sessions?q=dev&limit=1", "Sessions"),
        ("/api/sessions/dev", "Session"),
        ("/api/sessions/dev/latency", "Latency"),
        ("/api/sessions/dev/latency?points=20", "Latency"),
        ("/api/sessions/dev/signals?source=benchlab.usb", "Signals"),
        ("/api/sources?session=dev", "Sources"),
        ("/api/live?since=", "Live"),
    ],
)
def test_answer_fits_its_schema(path: str, schema: str, recording: Recording, tmp_path: Path) -> None:
    with served(tmp_path, "dev") as client:
        answer(client, path, schema)


@pytest.mark.parametrize("name", ["gone", "current", "%2e%2e%2fetc", "a" * 65, "dev%00", ".dev.deleting"])
def test_hostile_or_missing_session_is_not_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "sessions" / ".dev.deleting" / "raw").mkdir(parents=True)
    with served(tmp_path) as client:
        for path in (f"/api/sources?session={name}", f"/api/sessions/{name}"):
            response = client.get(path)
            assert response.status_code == 404, path
            fits("Error", response.json())


def test_session_whose_description_is_damaged_is_an_error_with_its_file(tmp_path: Path) -> None:
    folder = Recording(tmp_path, "dev").dir
    (folder / "session.json").write_text("{")
    with served(tmp_path) as client:
        response = client.get("/api/sources?session=dev")
    assert response.status_code == 500
    assert "session.json" in fits("Error", response.json())["error"]


def test_what_fails_inside_is_told_as_json_and_without_its_insides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("webd.desk.Desk.current", fail)
    with served(tmp_path) as client:
        response = client.get("/api/sources")
    assert response.status_code == 500
    assert "secret" not in fits("Error", response.json())["error"]
    assert response.headers["content-security-policy"]


def source_of(found: Any, name: str) -> Any:
    (one,) = [source for source in found["sources"] if source["source"] == name]
    return one


def test_sources_have_their_last_value_their_unit_and_what_keeps_them_down(tmp_path: Path) -> None:
    session = open_session(tmp_path, "dev")
    now_ns = session.clock().now_ns()
    path = session.raw / "telemetry.jsonl"
    told = {"period_ms": 100.0, "sources": [{"source": "cpu.psutil"}, {"source": "gpu.nvml"}, {"source": "cpu.rapl"}]}
    down = {"event": "source_down", "which": "gpu.nvml", "reason": "no driver", "fix": "install it"}
    lines = [
        event(now_ns - 400 * MS, "meta", {"event": "start", **told}),
        event(now_ns - 390 * MS, "meta", down),
        *(event(now_ns - i * 100 * MS, "cpu.psutil", {"cpu_util": 50.0 + i}, unc_ns=29_000) for i in (3, 2, 1)),
        event(now_ns - 50 * MS, "nic.psutil", {"rx_bytes_s": 1.0}, dev="eth0", sim=True),
        event(now_ns - 50 * MS, "nic.psutil", {"rx_bytes_s": 2.0}, dev="eth1", sim=True),
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with served(tmp_path, "dev") as client:
        found = answer(client, "/api/sources", "Sources")
    cpu, gpu = source_of(found, "cpu.psutil"), source_of(found, "gpu.nvml")
    assert (cpu["up"], cpu["why"], cpu["rate_hz"], cpu["period_s"]) == (True, None, 10.0, 0.1)
    assert (cpu["unc_ms"], cpu["sim"], cpu["stream"]) == (0.029, False, "telemetry")
    (value,) = cpu["values"]
    assert (value["key"], value["value"], value["unit"]) == ("cpu_util", 51.0, "%")
    assert (gpu["up"], gpu["why"], gpu["fix"], gpu["values"]) == (False, "no driver", "install it", [])
    assert source_of(found, "cpu.rapl")["up"] is None
    nics = {source["dev"]: source for source in found["sources"] if source["source"] == "nic.psutil"}
    assert {dev: nic["values"][0]["value"] for dev, nic in nics.items()} == {"eth0": 1.0, "eth1": 2.0}
    assert all(nic["sim"] for nic in nics.values())
    assert found["streams"] == [{"name": "telemetry", "writer": None, "last_ms": (now_ns - 50 * MS) // 1000 / 1000}]


def test_source_is_read_on_and_is_stale_when_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webd.sources.FRESH_S", 0.0)
    session = open_session(tmp_path, "dev")
    path = session.raw / "telemetry.jsonl"
    now_ns = session.clock().now_ns()
    with path.open("w") as file, served(tmp_path, "dev") as client:
        file.write(json.dumps(event(now_ns - 60_000 * MS, "meta", {"event": "start"})) + "\n")
        for number in range(3):
            reading = event(now_ns + number * MS - 60_000 * MS, "cpu.psutil", {"cpu_util": float(number)})
            file.write(json.dumps(reading) + "\n")
            file.flush()
            cpu = source_of(answer(client, "/api/sources", "Sources"), "cpu.psutil")
            assert cpu["values"][0]["value"] == number
            assert cpu["stale"] is True
            assert cpu["rate_hz"] is None
        path.unlink()
        assert answer(client, "/api/sources", "Sources")["sources"] == []


def test_source_of_a_stopped_program_is_down_and_says_which(tmp_path: Path) -> None:
    recording = Recording(tmp_path, "dev")
    stop = event(START_NS + 2 * MS, "meta", {"event": "stop"})
    recording.raw([event(START_NS, "meta", {"event": "start"}), *board(START_NS, START_NS + MS), stop])
    (recording.dir / "state").mkdir()
    (recording.dir / "state" / "benchlab.lock").touch()
    with served(tmp_path) as client:
        found = answer(client, "/api/sources?session=dev", "Sources")
    usb = source_of(found, "benchlab.usb")
    assert (usb["up"], usb["why"]) == (False, "the program that writes benchlab.jsonl was stopped")
    assert found["streams"][0]["writer"] == "dead"
