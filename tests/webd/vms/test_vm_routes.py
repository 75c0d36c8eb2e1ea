"""/api/telemetry: which VMs there are, what each does and did, and what is said of those that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from support.mux_scenarios import T0
from support.mux_sessions import NS, append, meta
from support.sink_sessions import store
from support.vm_sessions import CALM, LEAKY, MINUTE_NS, client, get, lab, mux, reading, write_vms

LAST_NS = T0 + 419 * MINUTE_NS


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root with one session of seven hours and two VMs."""
    found = tmp_path_factory.mktemp("data")
    session = lab(found)
    write_vms(session)
    mux(session)
    return found


@pytest.fixture
def web(data_root: Path) -> TestClient:
    return client(data_root)


def test_the_list_names_every_vm_with_its_values_units_age_and_energy(web: TestClient) -> None:
    found = get(web, "/api/telemetry/vms")
    calm, leaky = found["vms"]
    assert (calm["uuid"], calm["id"], calm["name"], calm["state"]) == (CALM, 1, "calm one", "running")
    assert (leaky["uuid"], leaky["name"]) == (LEAKY, 'leaky, "two"')
    assert calm["last_ms"] == LAST_NS // 1000 / 1000
    assert calm["age_ms"] > 1e9
    assert (calm["stale"], calm["sim"]) == (True, False)
    values = {one["key"]: one for one in calm["values"]}
    assert (values["cpu_count"]["value"], values["memory_max_kb"]["unit"]) == (2, "KiB")
    assert values["memory_used_from"]["value"] == "guest"
    assert {"vmid", "name", "state", "vcpus"}.isdisjoint(values)
    assert calm["energy"]["power_w"] == pytest.approx(20 * 18 / 120)
    assert leaky["energy"]["power_w"] == pytest.approx(20 * 90 / 120)
    assert found["rest"]["power_w"] == pytest.approx(2.0)
    assert found["collector"]["total_collections"] == 419
    assert found["collector"]["started_at_ms"] == T0 // 1000 / 1000


@pytest.mark.parametrize("which", [LEAKY, "2", 'leaky, "two"'])
def test_a_vm_is_found_by_uuid_number_or_name(web: TestClient, which: str) -> None:
    found = get(web, f"/api/telemetry/stats/{which}")
    assert found["uuid"] == LEAKY
    assert found["tables"] == {"vcpus": [{"id": 0, "state": "running", "time_ns": 5}]}


def test_the_analysis_says_what_is_wrong_with_its_evidence(web: TestClient) -> None:
    found = get(web, f"/api/telemetry/stats/{LEAKY}")["analytics"]
    forecast = found["forecast"]
    assert forecast["alarm"]
    full_ms = (T0 + (3 * 1024 * 1024 / 5000) * MINUTE_NS) / 1e6
    assert forecast["low_ms"] <= full_ms <= forecast["high_ms"]
    assert forecast["slope_kb_s"] == pytest.approx(5000 / 60, rel=0.05)
    assert [hint["kind"] for hint in found["bottlenecks"]] == ["block_latency", "swap"]
    assert found["bottlenecks"][0]["typical"] == 150.0
    (stretch,) = found["anomalies"]["cpu_pct"]["stretches"]
    assert stretch["direction"] == "below"
    assert stretch["usual"] == pytest.approx(150, abs=5)
    assert found["anomalies"]["cpu_pct"]["now"]
    assert (found["sizing"]["cpu"]["advice"], found["sizing"]["cpu"]["now_vcpus"]) == ("grow", 2)


def test_of_a_healthy_vm_nothing_is_said(web: TestClient) -> None:
    found = get(web, f"/api/telemetry/stats/{CALM}")["analytics"]
    assert not found["forecast"]["alarm"]
    assert found["bottlenecks"] == []
    assert all(one["stretches"] == [] and not one["now"] for one in found["anomalies"].values())
    assert found["sizing"]["cpu"] == {
        "advice": "shrink",
        "now_vcpus": 2,
        "recommended_vcpus": 1,
        "used_vcpus": pytest.approx(0.32, abs=0.03),
        "percentile": 95,
        "over_s": pytest.approx(420 * 60, abs=120),
        "at_least": False,
    }


def test_sizes_that_are_recorded_now_and_then_are_known_in_between(tmp_path: Path) -> None:
    session = lab(tmp_path)
    write_vms(session, energy=False)
    sampled = {"cpu_count", "memory_max_kb", "memory_used_from"}
    event = reading(LEAKY, LAST_NS + NS, name='leaky, "two"', vmid=2)
    event.kv = {key: value for key, value in event.kv.items() if key not in sampled}
    append(session, "vmstat", [event])
    found = get(client(tmp_path), f"/api/telemetry/stats/{LEAKY}")
    assert sampled.isdisjoint(one["key"] for one in found["values"])
    assert found["analytics"]["sizing"]["cpu"]["now_vcpus"] == 2
    assert found["analytics"]["forecast"]["limit_kb"] == 4 * 1024 * 1024
    assert "why" not in found["analytics"]["sizing"]["memory"]


def test_history_is_every_value_where_they_are_few_and_spans_where_they_are_many(web: TestClient) -> None:
    asked = {"vm": CALM, "field": "memory_used_kb", "from": (LAST_NS - 60 * NS) / 1e6, "to": LAST_NS / 1e6}
    found = get(web, "/api/telemetry/history", asked)
    assert (found["from"], found["unit"], found["resolution"]) == ("signals", "KiB", "samples")
    assert len(found["columns"]["t_ms"]) == len(found["columns"]["value"]) > 50
    asked |= {"from": T0 / 1e6, "points": 50}
    found = get(web, "/api/telemetry/history", asked)
    assert found["resolution"] == "buckets"
    columns = found["columns"]
    assert 40 <= len(columns["t_ms"]) <= 50
    assert all(a <= b <= c for a, b, c in zip(columns["min"], columns["mean"], columns["max"], strict=True))
    assert sum(columns["n"]) > 20_000


def test_history_of_what_a_vm_cost(web: TestClient) -> None:
    asked = {"vm": LEAKY, "field": "power_w", "from": T0 / 1e6, "to": LAST_NS / 1e6}
    found = get(web, "/api/telemetry/history", asked)
    assert found["unit"] == "W"
    assert found["columns"]["value"] == pytest.approx([15.0, 15.0, 15.0])
    nothing = get(web, "/api/telemetry/history", {**asked, "from": 0, "to": 1})
    assert (nothing["from"], nothing["columns"]["value"]) == ("signals", [])  # vmstatd's own file has no such field


def test_the_store_answers_where_there_is_one(tmp_path: Path) -> None:
    session = lab(tmp_path)
    write_vms(session, 30, energy=False)
    mux(session)
    store(session)
    web = client(tmp_path)
    asked = {"vm": "calm one", "field": "cputime_ns", "from": T0 / 1e6, "to": LAST_NS / 1e6}
    found = get(web, "/api/telemetry/history", asked)
    assert (found["from"], found["kind"]) == ("store", "counter")
    assert found["columns"]["value"] == [minute * 18 * NS for minute in range(30)]
    found = get(web, "/api/telemetry/history", {**asked, "points": 7})
    assert (found["resolution"], sum(found["columns"]["n"])) == ("buckets", 30)
    assert (found["columns"]["min"][0], found["columns"]["max"][-1]) == (0, 29 * 18 * NS)
    assert len(found["columns"]["n"]) <= 7
    assert get(web, "/api/telemetry/history", {**asked, "field": "cpu_pct"})["from"] == "signals"


def test_without_muxd_the_raw_stream_answers(tmp_path: Path) -> None:
    write_vms(lab(tmp_path), 30, energy=False)
    web = client(tmp_path)
    asked = {"vm": "1", "field": "memory_used_kb", "from": T0 / 1e6, "to": LAST_NS / 1e6}
    found = get(web, "/api/telemetry/history", asked)
    assert (found["from"], len(found["columns"]["value"])) == ("raw", 30)
    assert get(web, "/api/telemetry/vms")["vms"][0]["energy"] is None
    assert get(web, f"/api/telemetry/stats/{CALM}")["analytics"]["sizing"]["cpu"]["advice"] is None


def test_without_raw_files_the_aligned_rows_answer(tmp_path: Path) -> None:
    session = lab(tmp_path)
    write_vms(session, 5, energy=False)
    mux(session)
    (session.raw / "vmstat.jsonl").unlink()
    found = get(client(tmp_path), "/api/telemetry/vms")["vms"]
    assert [vm["uuid"] for vm in found] == [CALM, LEAKY]


def test_a_name_or_number_that_two_bear_is_refused_with_their_uuids(tmp_path: Path) -> None:
    session = lab(tmp_path)
    twins = [reading(uuid, T0, name="twin", vmid=7) for uuid in (CALM, LEAKY)]
    append(session, "vmstat", [meta(-1, "start"), *twins])
    web = client(tmp_path)
    for which in ("twin", "7"):
        answer = web.get(f"/api/telemetry/stats/{which}")
        assert answer.status_code == 400
        assert answer.json()["uuids"] == [LEAKY, CALM]
        assert web.get("/api/telemetry/history", params={"vm": which, "field": "cpu_pct"}).status_code == 400
    append(session, "vmstat", [reading(LEAKY, T0 + NS, name="twin", vmid=7, state="stopped")])
    assert get(web, "/api/telemetry/stats/7")["uuid"] == CALM


def test_a_vm_that_never_ran_is_not_known_by_the_number_0(tmp_path: Path) -> None:
    append(lab(tmp_path), "vmstat", [meta(-1, "start"), reading(CALM, T0, vmid=0, state="stopped")])
    web = client(tmp_path)
    assert web.get("/api/telemetry/stats/0").status_code == 404
    assert get(web, "/api/telemetry/stats/calm one")["id"] == 0


def test_a_vm_that_went_is_listed_no_more_and_one_that_comes_is(tmp_path: Path) -> None:
    session = lab(tmp_path)
    append(session, "vmstat", [meta(-1, "start"), reading(CALM, T0)])
    web = client(tmp_path)
    assert len(get(web, "/api/telemetry/vms")["vms"]) == 1
    gone = meta(5, "vm_gone", name="calm one")
    gone.dev = CALM
    append(session, "vmstat", [gone, reading(LEAKY, T0 + NS)])
    assert [vm["uuid"] for vm in get(web, "/api/telemetry/vms")["vms"]] == [LEAKY]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/telemetry/stats/nobody", 404, "calm one"),
        ("/api/telemetry/stats/9", 404, "found no VM '9'"),
        ("/api/telemetry/history?field=cpu_pct", 400, "vm:"),
        ("/api/telemetry/history?vm=1", 400, "field:"),
        ("/api/telemetry/history?vm=1&field=a;DROP", 400, "field:"),
        ("/api/telemetry/history?vm=1&field=no_such", 400, "no_such"),
        ("/api/telemetry/history?vm=1&field=name", 400, "name"),
        ("/api/telemetry/history?vm=1&field=cpu_pct&points=0", 400, "points"),
        ("/api/telemetry/history?vm=1&field=cpu_pct&from=x", 400, "from"),
        ("/api/telemetry/vms?session=../x", 404, "session"),
    ],
)
def test_bad_requests_are_answered_with_what_was_found(web: TestClient, path: str, status: int, said: str) -> None:
    answer = web.get(path)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_no_session_and_no_vm_are_no_errors(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    web = client(tmp_path, "current")
    assert get(web, "/api/telemetry/vms")["why"] == "no session yet"
    assert web.get("/api/telemetry/stats/x").status_code == 404
    lab(tmp_path, "empty")
    assert "vmstatd" in get(web, "/api/telemetry/vms", {"session": "empty"})["why"]
