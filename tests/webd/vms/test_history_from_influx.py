"""[influx].query: history from a real InfluxDB 1, from what a version 3 answers, and what is said where none does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchlab.cli import free_port
from benchlab.config_schema import Influx
from support.mux_scenarios import T0
from support.mux_sessions import NS, append, meta
from support.real_influx import InfluxDb, influxdb
from support.vm_sessions import CALM, LEAKY, client, get, lab, reading
from webd.errors import Refusal
from webd.vms.influx import from_influx, time_ns

Component = Callable[[str, str], str]
TO_NS = T0 + 100 * NS


@pytest.fixture
def server(component: Component, tmp_path: Path) -> Iterator[InfluxDb]:
    with influxdb(component("influxd", "influxdb"), tmp_path) as running:
        running.ask("CREATE DATABASE vmstats")
        running.write("\n".join(points()).encode())
        yield running


def points() -> Iterator[str]:
    """Yield a hundred seconds of two VMs, as muxd writes them (docs/INFLUX.md)."""
    for second in range(100):
        at_ns = T0 + second * NS
        for number, uuid in enumerate((CALM, LEAKY)):
            tags = f"VMID={number},name=calm\\ one,uuid={uuid}"
            yield f'vm_metrics,{tags} state="running",memory_used_kb={1000 * number + second}i {at_ns}'
        sim = ",sim=true" if second == 7 else ""
        yield f"vm_libvirt,node=n,session=s,dev={CALM}{sim} cpu_pct={second / 2} {at_ns}"
        yield f"metric_vm_energy,node=n,session=s,dev={CALM} power_w=3.5 {at_ns}"


def test_a_real_influxdb_answers_with_values_and_with_spans(server: InfluxDb, tmp_path: Path) -> None:
    append(lab(tmp_path), "vmstat", [meta(-1, "start"), reading(CALM, T0)])
    web = client(tmp_path, query=True, influx_url=server.url, api="v1")
    asked: dict[str, Any] = {"vm": "calm one", "field": "memory_used_kb", "from": T0 / 1e6, "to": TO_NS / 1e6}
    found = get(web, "/api/telemetry/history", asked)
    assert (found["from"], found["resolution"], found["sim"]) == ("influx", "samples", False)
    assert found["columns"]["value"] == list(range(100))
    assert found["columns"]["t_ms"][1] == (T0 + NS) // 1000 / 1000
    spans = get(web, "/api/telemetry/history", {**asked, "points": 10})
    assert (spans["resolution"], sum(spans["columns"]["n"])) == ("buckets", 100)
    assert spans["columns"]["n"] == [10] * 10
    assert (spans["columns"]["min"][0], spans["columns"]["max"][-1]) == (0, 99)
    cpu = get(web, "/api/telemetry/history", {**asked, "field": "cpu_pct"})
    assert (cpu["columns"]["value"][-1], cpu["sim"]) == (49.5, True)
    power = get(web, "/api/telemetry/history", {**asked, "field": "power_w"})
    assert set(power["columns"]["value"]) == {3.5}
    nothing = get(web, "/api/telemetry/history", {**asked, "field": "block_latency_ms"})
    assert nothing["columns"] == {"t_ms": [], "value": []}


def test_steps_lie_where_the_values_are_not_in_all_of_the_time_that_is_asked_for(
    server: InfluxDb, tmp_path: Path
) -> None:
    append(lab(tmp_path), "vmstat", [meta(-1, "start"), reading(CALM, T0)])
    web = client(tmp_path, query=True, influx_url=server.url, api="v1")
    day_ms = 86_400_000
    asked = {"vm": CALM, "field": "memory_used_kb", "from": T0 / 1e6 - day_ms, "to": T0 / 1e6 + day_ms, "points": 5}
    spans = get(web, "/api/telemetry/history", asked)["columns"]
    assert spans["n"] == [20] * 5
    assert spans["mean"] == [9.5, 29.5, 49.5, 69.5, 89.5]
    assert [T0 / 1e6 < t_ms < TO_NS / 1e6 for t_ms in spans["t_ms"]] == [True] * 5


def test_a_vm_that_only_influxdb_remembers_is_asked_for_by_uuid(server: InfluxDb, tmp_path: Path) -> None:
    append(lab(tmp_path), "vmstat", [meta(-1, "start"), reading(CALM, T0)])
    web = client(tmp_path, query=True, influx_url=server.url, api="v1")
    asked = {"vm": LEAKY, "field": "memory_used_kb", "from": T0 / 1e6, "to": TO_NS / 1e6}
    assert get(web, "/api/telemetry/history", asked)["columns"]["value"][0] == 1000


def test_an_influxdb_without_the_database_says_so(server: InfluxDb, tmp_path: Path) -> None:
    append(lab(tmp_path), "vmstat", [meta(-1, "start"), reading(CALM, T0)])
    web = client(tmp_path, query=True, influx_url=server.url, api="v1", influx_db="nowhere")
    answer = web.get("/api/telemetry/history", params={"vm": CALM, "field": "cpu_pct"})
    assert answer.status_code == 502
    assert "database not found" in answer.json()["error"]


def test_nobody_there_is_told_with_the_address_and_the_rest_is_answered(tmp_path: Path) -> None:
    append(lab(tmp_path), "vmstat", [meta(-1, "start"), reading(CALM, T0)])
    url = f"http://127.0.0.1:{free_port()}"
    answer = client(tmp_path, query=True, influx_url=url).get(
        "/api/telemetry/history", params={"vm": CALM, "field": "cpu_pct"}
    )
    assert answer.status_code == 502
    assert url in answer.json()["error"]
    assert client(tmp_path, query=True, influx_url=url).get("/api/telemetry/vms").status_code == 200


def test_a_token_file_that_everybody_may_read_is_told_and_not_used(tmp_path: Path) -> None:
    append(lab(tmp_path), "vmstat", [meta(-1, "start"), reading(CALM, T0)])
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o644)
    web = client(tmp_path, query=True, token_file=str(token))
    answer = web.get("/api/telemetry/history", params={"vm": CALM, "field": "cpu_pct"})
    assert answer.status_code == 500
    assert "chmod" in answer.json()["error"]


class Version3:
    """Answers of a version 3: rows as objects, times as text."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[tuple[str, str]] = []

    def __call__(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        text = params["q"]
        self.asked.append((path, text))
        row = {"iox::measurement": "vm_metrics", "time": "2025-11-22T08:26:40.000000001"}
        if " AS n FROM" in text:
            return [{**row, "n": self.count}]
        if "sim" in text:
            return []
        if "GROUP BY" in text:
            return [{**row, "n": 2, "low": 1, "total": 4, "high": 3}, {**row, "n": 0, "low": None}]
        return [{**row, "value": 7}]


def test_version_3_is_asked_in_its_own_way() -> None:
    ask = Version3(1)
    found = from_influx(Influx(), CALM, "memory_used_kb", 5, 105, 10, ask)
    assert found.values == [(1_763_800_000_000_000_001, 7)]
    assert {path for path, _ in ask.asked} == {"/api/v3/query_influxql"}
    assert f"WHERE \"uuid\" = '{CALM}' AND time >= 5 AND time < 105" in ask.asked[0][1]
    found = from_influx(Influx(), CALM, "cpu_pct", 5, 105, 10, Version3(20))
    assert found.spans is not None
    assert [(span.n, span.low, span.total, span.high) for span in found.spans] == [(2, 1, 4, 3)]


@pytest.mark.parametrize("answer", [{}, [], {"results": []}, {"results": [{"error": "bad"}]}, "text", None])
def test_what_is_no_answer_is_told(answer: Any) -> None:
    influx = msgspec.structs.replace(Influx(), api="v1")
    with pytest.raises(Refusal, match="InfluxDB at http://localhost:8086"):
        from_influx(influx, CALM, "cpu_pct", 0, 1, 10, lambda path, params, headers: answer)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2025-11-22T08:26:40.000000001Z", 1_763_800_000_000_000_001),
    ],
)
def test_times_of_version_3_keep_their_nanoseconds(text: str, ns: int) -> None:
    assert time_ns(text) == ns
