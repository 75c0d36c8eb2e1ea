"""The tables of virtual machines: each reading a row, what is not known NULL, no row where nothing is told."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from benchlab.session import Session
from muxd.sinks import sqlite_schema
from muxd.sinks.sqlite_schema import migrate
from support.influx_sinks import UUID, busy_session, vm
from support.mux_scenarios import T0
from support.mux_sessions import append, make_session, mux_closed, stage
from support.sink_sessions import assert_store_is_the_log, letters, store, store_path, stored


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return busy_session(tmp_path / "s", frames=6, polls=3)


def test_tables_of_virtual_machines_are_the_log(session: Session) -> None:
    store(session)
    assert_store_is_the_log(session)
    assert len(stored(session, "vm_metrics")) == 6
    assert len(stored(session, "vm_features")) == 2


def test_a_row_is_as_the_seed_types_it(session: Session) -> None:
    store(session)
    running, stopped = stored(session, "vm_metrics")[2:4]
    assert {key: running[key] for key in running.keys() - {"session", "offset", "node"}} == {
        "ts_ns": T0 + 5_000_000_000,
        "VMID": 1,
        "name": "ubuntu-vm",
        "uuid": UUID,
        "state": "running",
        "cpu_count": 2,
        "memory_max_kb": 2_097_152,
        "memory_used_kb": 1_048_576,
        "cputime_ns": 5_000_000_001,
        "sim": 0,
    }
    assert (stopped["VMID"], stopped["state"], stopped["memory_used_kb"]) == (0, "stopped", None)
    first = stored(session, "vm_features")[0]
    assert (first["memory_rate_kb_per_sec"], first["memory_angle_deg"]) == (1024.5, 89.94)


def test_a_simulated_guest_says_so_and_an_ill_typed_one_goes_to_quarantine(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    append(session, "pipeline", [stage(0, "ingress", 0), stage(1, "encoded", 0)])
    append(session, "vmstat", [vm(0, sim=True), vm(1, cpu_count="two"), vm(2)])
    mux_closed(session)
    store(session)
    assert [row["sim"] for row in stored(session, "vm_metrics")] == [1, 0]
    (letter,) = letters(session)
    assert letter["event"]["kv"]["cpu_count"] == "two" and "cpu_count" in letter["detail"]


def test_a_store_of_the_version_before_gets_the_tables_and_keeps_its_rows(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store_path(session)
    path.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None)
    with monkeypatch.context() as before:
        before.setattr(sqlite_schema, "MIGRATIONS", sqlite_schema.MIGRATIONS[:2])
        migrate(connection)
    connection.execute("INSERT INTO bookmark VALUES ('other', 'raw/bookmarks.jsonl', 0, NULL, 1, 'kept', '{}', 0)")
    connection.close()
    store(session)
    assert [row["text"] for row in stored(session, "bookmark") if row["session"] == "other"] == ["kept"]
    assert len(stored(session, "vm_metrics")) == 6
