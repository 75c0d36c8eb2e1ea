"""Ticks of pimon in the store: one row group each, exactly once, in the tables of the telemetry logger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchlab.event import Event
from benchlab.session import Session
from muxd.sinks import feed as feeding
from support.logger_databases import SCHEMAS, asked, original, sound
from support.mux_scenarios import T0
from support.mux_sessions import MS, append, make_session, meta, mux_closed, mux_open, opener
from support.pi_ticks import BATTERY, SYSTEM, assert_ticks_are_the_log, tick
from support.sink_sessions import drain, letters, store, store_path, worker
from support.sink_sessions import stored as rows_by_offset

S = 1_000_000_000


def session_of(folder: Path, ticks: list[list[Event]]) -> Session:
    session = make_session(folder)
    append(session, "pimon", [meta(-1, "start", disorder_ms=50, period_ms={"pi.system": 5000})])
    for events in ticks:
        append(session, "pimon", events)
    return session


def stored(session: Session, sql: str) -> list[tuple[Any, ...]]:
    return asked(store_path(session), sql)


def test_one_tick_is_one_row_group(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(0), tick(5000)])
    mux_closed(session)
    store(session)
    key = T0 // S
    assert stored(session, "SELECT * FROM system_sample WHERE ts_ns = " + str(T0)) == [
        (key, 7.5, -0.4, -3.0, 80.0, 25.0, 1500.0, 0.5, 0.4, 0.3, T0, None, "s", 0)
    ]
    assert stored(session, f"SELECT * FROM cpu_core WHERE ts = {key}") == [(key, 0, 20.0), (key, 1, 30.0)]
    assert stored(session, f"SELECT * FROM process_sample WHERE ts = {key}") == [
        (key, 1, "init", 0.5, 0.1),
        (key, 77, "cc1", 99.0, 3.5),
    ]
    assert_ticks_are_the_log(session)


def test_without_a_battery_its_columns_are_null(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(0, battery=None)])
    mux_closed(session)
    store(session)
    assert stored(session, "SELECT voltage, current, power, battery_pct FROM system_sample") == [(None,) * 4]
    assert stored(session, "SELECT watts, drain_mah_per_min FROM training_view") == [(None, None)]


def test_a_clock_that_is_not_known_is_zero_here_and_absent_elsewhere(tmp_path: Path) -> None:
    system = {k: v for k, v in SYSTEM.items() if k != "cpu_freq_mhz"}
    session = session_of(tmp_path / "s", [tick(ms, system=system) for ms in (0, 1000, 2000)])
    mux_closed(session)
    store(session)
    assert {freq for (freq,) in stored(session, "SELECT cpu_freq FROM system_sample")} == {0.0}
    keys = {row["key"] for row in rows_by_offset(session, "signal")}
    assert "cpu_util_pct" in keys and "cpu_freq_mhz" not in keys


@pytest.mark.parametrize("lacking", ["cpu_util_pct", "load1", "load15"])
def test_a_tick_without_what_the_table_needs_has_no_row(tmp_path: Path, lacking: str) -> None:
    system = {k: v for k, v in SYSTEM.items() if k != lacking}
    session = session_of(tmp_path / "s", [tick(0, system=system), tick(5000)])
    mux_closed(session)
    store(session)
    assert stored(session, "SELECT ts FROM system_sample") == [(T0 // S + 5,)]
    assert stored(session, "SELECT DISTINCT ts FROM process_sample") == [(T0 // S + 5,)]
    assert letters(session) == []
    assert_ticks_are_the_log(session)


def test_ticks_of_one_second_move_the_key_never_the_time(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(ms) for ms in (0, 100, 200, 300, 9000)])
    mux_closed(session)
    store(session)
    first = T0 // S
    assert stored(session, "SELECT ts, ts_ns FROM system_sample ORDER BY ts") == [
        *((first + i, T0 + i * 100 * MS) for i in range(4)),
        (first + 9, T0 + 9 * S),
    ]


def test_what_is_simulated_says_so(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(0, sim=True)])
    mux_closed(session)
    store(session)
    assert stored(session, "SELECT sim FROM system_sample") == [(1,)]


def test_a_tick_cut_in_two_by_a_checkpoint_is_still_one_row_group(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [])
    working = worker(session)
    for number in range(12):
        for event in tick(number * 5000, cpu=float(number)):
            append(session, "pimon", [event])
            mux_open(session)
            drain(working)
    mux_closed(session)
    drain(working).close()
    assert stored(session, "SELECT COUNT(*), SUM(power IS NULL) FROM system_sample") == [(12, 0)]
    assert_ticks_are_the_log(session)


def test_small_chunks_store_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "CHUNK_BYTES", 512)
    session = session_of(tmp_path / "s", [tick(ms, cpu=ms / 1000) for ms in range(0, 60_000, 1000)])
    mux_closed(session)
    store(session)
    assert_ticks_are_the_log(session)


def test_storing_again_stores_nothing_twice_and_a_deleted_store_is_made_anew(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(ms) for ms in range(0, 20_000, 1000)])
    mux_open(session)
    store(session)
    mux_closed(session)
    store(session)
    assert_ticks_are_the_log(session)
    store_path(session).unlink()
    store(session)
    assert_ticks_are_the_log(session)


def test_a_rebuild_replaces_the_row_groups(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(ms) for ms in range(0, 20_000, 1000)])
    mux_closed(session)
    store(session)
    mux = opener(session).rebuild("asked for")
    mux.finish()
    mux.close()
    store(session)
    assert_ticks_are_the_log(session)


def test_an_event_that_is_none_is_set_aside_and_the_rest_is_stored(tmp_path: Path) -> None:
    bad = [Event(T0 + 5 * S, "pi.system", {**SYSTEM, "load1": "high"})]
    twice = tick(10_000, processes=[{"pid": 1, "name": "a", "cpu_pct": 1.0, "mem_pct": 1.0}] * 2)
    session = session_of(tmp_path / "s", [tick(0), bad, twice, tick(15_000)])
    mux_closed(session)
    store(session)
    assert [ts - T0 // S for (ts,) in stored(session, "SELECT ts FROM system_sample ORDER BY ts")] == [0, 10, 15]
    assert [letter["event"]["source"] for letter in letters(session)] == ["pi.system", "pi.processes"]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_database_of_the_original_logger_is_continued(tmp_path: Path, schema: str) -> None:
    session = session_of(tmp_path / "s", [tick(0), tick(5000)])
    mux_closed(session)
    store_path(session).parent.mkdir()
    first = T0 // S
    original(store_path(session), SCHEMAS[schema], [first - 5, first, first + 1])
    store(session)
    assert stored(session, "SELECT ts, session FROM system_sample ORDER BY ts") == [
        (first - 5, None),
        (first, None),
        (first + 1, None),
        (first + 2, "s"),
        (first + 5, "s"),
    ]
    assert stored(session, f"SELECT watts, battery_pct FROM training_view WHERE ts = {first + 2}") == [(3.0, 80.0)]
    assert sound(store_path(session))


def test_a_table_of_somebody_else_is_said_and_left_alone(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(0)])
    mux_closed(session)
    store_path(session).parent.mkdir()
    original(store_path(session), "CREATE TABLE system_sample (ts INTEGER PRIMARY KEY, power REAL);", [])
    working = worker(session)
    working.step()
    working.close()
    assert working.failing is not None and "no telemetry logger made it" in working.failing


def test_raw_files_that_were_trimmed_leave_the_ticks_stored(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [tick(0), tick(5000)])
    mux_closed(session)
    store(session)
    (session.raw / "pimon.jsonl").unlink()
    store(session)
    assert stored(session, "SELECT COUNT(*) FROM system_sample") == [(2,)]


def test_a_battery_line_alone_is_no_row(tmp_path: Path) -> None:
    session = session_of(tmp_path / "s", [[Event(T0, "pi.battery", dict(BATTERY))], tick(5000)])
    mux_closed(session)
    store(session)
    assert stored(session, "SELECT ts FROM system_sample") == [(T0 // S + 5,)]
