"""A real InfluxDB 1 and a real VictoriaMetrics hold the log, and answer the queries of the documentation."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchlab.event import Event
from benchlab.session import Session
from muxd.sinks import influx_lines as lines
from support.fake_influx import Key
from support.influx_sinks import (
    UUID,
    assert_points_are_the_log,
    busy_session,
    expected_keys,
    influx_worker,
    store_in,
    vm,
)
from support.line_protocol import Value
from support.mux_scenarios import T0
from support.mux_sessions import MS, append, make_session, meta, mux_closed, numbered
from support.real_influx import InfluxDb, VictoriaMetrics, influxdb, victoria_metrics
from support.sink_sessions import drain, letters
from support.tree import REPOSITORY

PAGE = (REPOSITORY / "docs" / "INFLUX.md").read_text()
INFLUXQL = dict(re.findall(r"^### ([^\n]+)\n\n```influxql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
SQL = dict(re.findall(r"^### ([^\n]+, in SQL)\n\n```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
SEED = {
    "Latest metrics of all machines": "SELECT * FROM vm_metrics WHERE time > now() - 1h ORDER BY time DESC LIMIT 100",
    "Memory trend of one machine": "SELECT memory_rate_kb_per_sec, memory_angle_deg FROM vm_features "
    "WHERE time > now() - 24h AND name = 'ubuntu-vm'",
    "Mean number of processors": "SELECT MEAN(cpu_count) FROM vm_metrics WHERE time > now() - 7d GROUP BY name",
    "Memory in use over time": "SELECT memory_used_kb FROM vm_metrics WHERE VMID = '1' AND time > now() - 12h "
    "ORDER BY time DESC",
}
TAGS = (
    "VMID",
    "name",
    "uuid",
    "node",
    "session",
    "dev",
    "sim",
    "n",
    "from_stage",
    "to_stage",
    "flow",
    "stage",
    "reason",
)

Find = Callable[[str, str], str]


@pytest.fixture
def server(component: Find, tmp_path: Path) -> Iterator[InfluxDb]:
    component("influx", "influxdb-client")
    with influxdb(component("influxd", "influxdb"), tmp_path) as running:
        yield running


@pytest.fixture
def victoria(component: Find, tmp_path: Path) -> Iterator[VictoriaMetrics]:
    with victoria_metrics(component("victoria-metrics", "victoria-metrics"), tmp_path) as running:
        yield running


def points_of(server: InfluxDb) -> dict[Key, dict[str, Value]]:
    """Return everything that a server holds."""
    found: dict[Key, dict[str, Value]] = {}
    for row in server.rows("SHOW MEASUREMENTS"):
        for point in server.rows(f'SELECT * FROM "{row["name"]}"'):
            said = {key: value for key, value in point.items() if value is not None}
            ts_ns = said.pop("time")
            tags = tuple(sorted((key, said.pop(key)) for key in TAGS if key in said))
            found[row["name"], tags, ts_ns] = said
    return found


def recent_guests(folder: Path) -> tuple[Session, list[int]]:
    """Return a session of two guests, read 5 s and 10 s ago and two hours ago, and these times, newest first."""
    session = make_session(folder)
    now_ns = time.time_ns()
    times = [now_ns - seconds * 1000 * MS for seconds in (7200, 10, 5)]
    events: list[Event] = [meta((times[0] - T0) / MS - 1, "start", disorder_ms=200)]
    for number, ts_ns in enumerate(times):
        features: dict[str, Any] = (
            {"memory_rate_kb_per_sec": 1024.5 * number, "memory_angle_deg": 89.94} if number else {}
        )
        events.append(_at(ts_ns, vm(0, memory_used_kb=1000 + number, **features)))
        off = vm(0, "other", vmid=0, name="off, and on", cpu_count=4 + number, memory_used_kb=None, cputime_ns=None)
        events.append(_at(ts_ns, off))
    append(session, "vmstat", numbered([*events, meta((times[-1] - T0) / MS + 1, "stop")]))
    mux_closed(session)
    return session, times[::-1]


def _at(ts_ns: int, event: Event) -> Event:
    event.ts_ns = ts_ns
    return event


def test_a_real_influxdb_holds_every_row_once_with_its_values(server: InfluxDb, tmp_path: Path) -> None:
    session = busy_session(tmp_path / "s")
    drain_past_the_missing_database(influx_worker(session, server.url, api="v1"))
    found = points_of(server)
    assert_points_are_the_log(session, found)
    (session.dir / "state" / "influx.json").unlink()
    store_in(session, server.url, api="v1", batch_max_lines=17)
    assert points_of(server) == found
    kinds = {row["fieldKey"]: row["fieldType"] for row in server.rows("SHOW FIELD KEYS FROM vm_metrics")}
    assert kinds == {"state": "string"} | dict.fromkeys(
        ("cpu_count", "memory_max_kb", "memory_used_kb", "cputime_ns"), "integer"
    )
    kinds = {row["fieldKey"]: row["fieldType"] for row in server.rows("SHOW FIELD KEYS FROM vm_features")}
    assert kinds == {"memory_rate_kb_per_sec": "float", "memory_angle_deg": "float"}


def drain_past_the_missing_database(working: Any) -> None:
    """Let the sink make its database, which it tells of as a change of its store, and store everything."""
    assert working.step() > 0
    assert working.failing is None
    drain(working).close()


def test_points_of_a_log_that_was_made_anew_take_the_place_of_the_old_ones(server: InfluxDb, tmp_path: Path) -> None:
    session = busy_session(tmp_path / "s")
    drain_past_the_missing_database(influx_worker(session, server.url, api="v1"))
    server.write(b"metric_latency,session=s,from_stage=a,to_stage=gone lat_ms=1.0 5\nother,session=t f=1 5")
    (session.dir / "state" / "influx.json").unlink()
    store_in(session, server.url, api="v1")
    found = points_of(server)
    assert found.pop(("other", (("session", "t"),), 5)) == {"f": 1}
    assert_points_are_the_log(session, found)


def test_a_real_influxdb_refuses_what_it_holds_otherwise_and_takes_the_rest(server: InfluxDb, tmp_path: Path) -> None:
    session = busy_session(tmp_path / "s")
    server.ask("CREATE DATABASE vmstats")
    server.write(f"vm_metrics,uuid=planted cpu_count=2.5 {T0}".encode())  # a type holds within a shard
    store_in(session, server.url, api="v1")
    dead = letters(session, "influx")
    assert [letter["event"]["source"] for letter in dead] == ["vm.libvirt"] * 8
    assert all("field type conflict" in letter["detail"] and "cpu_count" in letter["detail"] for letter in dead)
    names = Counter(name for name, _, _ in points_of(server))
    wanted = Counter(name for name, _ in expected_keys(session).elements())
    assert names.pop("vm_metrics") == 1 and wanted.pop("vm_metrics") == 8
    assert names == wanted


def test_a_real_influxdb_with_users_takes_user_and_password_and_names_what_is_missing(
    component: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFLUX_TOKEN", raising=False)
    session = busy_session(tmp_path / "s", frames=6)
    with influxdb(component("influxd", "influxdb"), tmp_path, auth=True) as server:
        server.ask("CREATE USER admin WITH PASSWORD 's3cret' WITH ALL PRIVILEGES", "")
        working = influx_worker(session, server.url, api="v1")
        working.step()
        assert working.failing is not None
        assert "401" in working.failing and "there is no token: set INFLUX_TOKEN" in working.failing
        monkeypatch.setenv("INFLUX_TOKEN", "admin:s3cret")
        drain_past_the_missing_database(influx_worker(session, server.url, api="v1"))
        assert letters(session, "influx") == []


ODD = ["a,b", "c=d", "e f", 'say "x"', "it's", "ü☃", "a\\b", "ends\\", "\\,", "\\\\", "two\nlines", "#x", "tab\t", "="]


def test_odd_names_are_in_a_real_influxdb_what_the_page_says(server: InfluxDb) -> None:
    server.ask("CREATE DATABASE vmstats")
    for at, name in enumerate(ODD):
        made = lines.line(lines.head("m", [("tag", name)]), [f"text={lines.text(name)}", f"{lines.key(name)}=1i"], at)
        assert made is not None
        server.write(made)
    shown = [name.replace("\n", "␊").replace("\t", "␉") for name in ODD]
    rows = server.rows("SELECT * FROM m")
    assert [row["text"] for row in rows] == shown
    tags = [{"ends\\": "ends＼", "\\,": "＼,", "\\\\": "＼＼"}.get(name, name) for name in shown]
    assert [row["tag"] for row in rows] == tags
    assert [row[tag] for row, tag in zip(rows, tags, strict=True)] == [1] * len(ODD)


def test_the_queries_of_the_page_are_those_of_the_seed() -> None:
    """But for the quotes around name, which is a keyword of InfluxQL."""
    assert {name: " ".join(query.replace('"', "").split()) for name, query in INFLUXQL.items()} == SEED
    assert set(SQL) == {f"{name}, in SQL" for name in SEED}


def test_the_four_queries_have_known_answers_in_a_real_influxdb(server: InfluxDb, tmp_path: Path) -> None:
    session, (newest, middle, oldest) = recent_guests(tmp_path / "s")
    drain_past_the_missing_database(influx_worker(session, server.url, api="v1"))
    found = {name: server.rows(query) for name, query in INFLUXQL.items()}
    latest = found["Latest metrics of all machines"]
    assert [row["time"] for row in latest] == [newest, newest, middle, middle]
    assert {row["uuid"] for row in latest} == {UUID, "other"}
    assert found["Memory trend of one machine"] == [
        {"time": middle, "memory_rate_kb_per_sec": 1024.5, "memory_angle_deg": 89.94},
        {"time": newest, "memory_rate_kb_per_sec": 2049.0, "memory_angle_deg": 89.94},
    ]
    means = {row["name"]: row["mean"] for row in found["Mean number of processors"]}
    assert means == {"off, and on": 5, "ubuntu-vm": 2}
    used = [(row["time"], row["memory_used_kb"]) for row in found["Memory in use over time"]]
    assert used == [(newest, 1002), (middle, 1001), (oldest, 1000)]


COLUMNS = {
    "vm_metrics": "state VARCHAR, cpu_count BIGINT, memory_max_kb BIGINT, memory_used_kb BIGINT, cputime_ns BIGINT",
    "vm_features": "memory_rate_kb_per_sec DOUBLE, memory_angle_deg DOUBLE",
}


def test_the_queries_in_sql_give_the_same_answers(server: InfluxDb, tmp_path: Path) -> None:
    session, _ = recent_guests(tmp_path / "s")
    drain_past_the_missing_database(influx_worker(session, server.url, api="v1"))
    engine = duckdb.connect()
    engine.execute("SET TimeZone = 'UTC'")
    for table, columns in COLUMNS.items():
        engine.execute(f'CREATE TABLE {table} (time TIMESTAMP, "VMID" VARCHAR, name VARCHAR, uuid VARCHAR, {columns})')
        for row in server.rows(f"SELECT * FROM {table}"):
            values = [row[name] for name in re.findall(r"(\w+) [A-Z]", columns)]
            marks = ", ".join("?" * (3 + len(values)))
            said = [row["time"] // 1000, row["VMID"], row["name"], row["uuid"], *values]
            engine.execute(f"INSERT INTO {table} VALUES (make_timestamp(?), {marks})", said)
    found = {name: engine.execute(query).fetchall() for name, query in SQL.items()}
    assert len(found["Latest metrics of all machines, in SQL"]) == 4
    assert [row[1:] for row in found["Memory trend of one machine, in SQL"]] == [(1024.5, 89.94), (2049.0, 89.94)]
    assert found["Mean number of processors, in SQL"] == [("off, and on", 5.0), ("ubuntu-vm", 2.0)]
    assert [used for _, used in found["Memory in use over time, in SQL"]] == [1002, 1001, 1000]


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_a_real_victoriametrics_holds_every_number_once(victoria: VictoriaMetrics, tmp_path: Path, api: str) -> None:
    session = busy_session(tmp_path / "s")
    store_in(session, victoria.url, api=api)
    values = [v for series in victoria.export('{__name__="metric_latency_lat_ms"}') for v in series["values"]]
    assert len(values) == 60 and sum(values) == pytest.approx(600.0)
    (running,) = victoria.export(f'{{__name__="vm_metrics_cputime_ns",uuid="{UUID}"}}')
    assert running["values"] == [5_000_000_000 + poll for poll in range(4)]
    assert running["metric"]["VMID"] == "1" and running["metric"]["name"] == "ubuntu-vm"
