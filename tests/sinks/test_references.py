"""references/ describes the store as it is, and every query in it gives the answer that it should."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from benchlab import telemetry_schema
from benchlab.session import Session
from support.mux_scenarios import T0
from support.mux_sessions import MS, append, make_session, meta, mux_closed, power, record, stage
from support.sink_sessions import bookmark, store, store_path
from support.tree import REPOSITORY

SCHEMA = (REPOSITORY / "references" / "schema.md").read_text()
QUERIES = (REPOSITORY / "references" / "queries.md").read_text()
QUERY = re.compile(r"^## (.+?)\n.*?```sql\n(.*?)```", re.MULTILINE | re.DOTALL)
NAMED = dict(QUERY.findall(QUERIES.split("# Queries of virtual machines")[0]))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Return a stored session of known answers: 100 frames of 1 to 100 ms at 200 W, one of them without power."""
    made = make_session(tmp_path_factory.mktemp("known") / "s")
    stages = [meta(-1, "start", disorder_ms=20)]
    for frame in range(1, 101):
        stages += [stage(frame * 110, "ingress", frame), stage(frame * 110 + frame, "encoded", frame)]
    stages += [stage(11_200, "ingress", 101), stage(20_000, "ingress", 102), stage(20_010, "encoded", 102)]
    watts = [power(ms, 200.0, temp_c=40.0) for ms in range(0, 11_500, 50)]
    record(made, {"pipeline": stages, "benchlab": [meta(-50, "start", disorder_ms=20), *watts]})
    append(made, "bookmarks", [meta(5500, "start"), bookmark(5556, "halfway"), meta(5600, "stop")])
    mux_closed(made)
    store(made)
    return made


def asked(session: Session, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"{store_path(session).as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "Overview: every pair of stages": [("ingress", "encoded", 101, 1, 5060 / 101, 100.0, 200.0, 10.1)],
    "Percentiles of one pair": [(50.0, 95.0, 99.0)],
    "The slowest frames, with their power": [
        (frame, float(frame), 200.0, frame / 5, f"2025-11-22 08:26:{40 + frame * 111 // 1000}")
        for frame in (100, 99, 98)
    ],
    "Why frames were dropped": [("ingress", "encoded", "lost", 1)],
    "Frames whose power is not known, and why": [("gap", 1)],
    "What every source said last": [
        ("benchlab.usb", None, "p_sys", 200.0, None),
        ("benchlab.usb", None, "temp_c", 40.0, None),
    ],
    "Two signals side by side": [(T0 + second * 1000 * MS, 200.0, 40.0) for second in range(14)],
    "Before and after a bookmark": [("halfway", 0, 50, 25.5), ("halfway", 1, 51, (sum(range(51, 101)) + 10) / 51)],
    "Whether anything was simulated": [(0, 101)],
}


def test_there_are_queries_and_each_has_a_known_answer() -> None:
    assert len(NAMED) >= 6
    assert set(NAMED) == {*ANSWERS, "Second by second"}


@pytest.mark.parametrize("name", ANSWERS)
def test_query_gives_the_known_answer(session: Session, name: str) -> None:
    found = asked(session, NAMED[name])
    assert len(found) == len(ANSWERS[name])
    for row, known in zip(found, ANSWERS[name], strict=True):
        assert row == pytest.approx(known)


def test_seconds_add_up_to_the_session(session: Session) -> None:
    found = asked(session, NAMED["Second by second"])
    assert sum(frames for _, frames, _, _, _ in found) == 101
    assert [second for second, *_ in found] == [*range(11), 19]
    assert sum(joules for *_, joules in found[:-1]) == pytest.approx(1010.0)
    assert found[-1][3:] == (None, None)


def documented(table: str) -> list[str]:
    """Return the columns that the page's section of a table lists, in its order."""
    section = re.split(rf"^## `{table}`$", SCHEMA, flags=re.MULTILINE)[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize(
    "table",
    [*("latency", "dropped", "signal", "bookmark", "cursor", "vm_metrics", "vm_features"), *telemetry_schema.TABLES],
)
def test_every_column_is_documented(session: Session, table: str) -> None:
    columns = [row[1] for row in asked(session, f"PRAGMA table_info({table})")]
    assert sorted(documented(table)) == sorted(columns)


def test_every_table_and_view_is_documented(session: Session) -> None:
    names = asked(session, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    assert [name for (name,) in names if f"`{name}`" not in SCHEMA] == []
    (version,) = asked(session, "PRAGMA user_version")[0]
    assert f"last migration: {version}." in SCHEMA


@pytest.mark.parametrize("view", ["pair_summary", "signal_latest", "training_view"])
def test_every_column_of_a_view_is_documented(session: Session, view: str) -> None:
    (paragraph,) = re.findall(rf"^`{view}`: (.*?)(?:\n\n|\Z)", SCHEMA, re.MULTILINE | re.DOTALL)
    columns = {row[1] for row in asked(session, f"PRAGMA table_info({view})")}
    assert columns - {"session", "from_stage", "to_stage"} <= set(re.findall(r"`(\w+)`", paragraph))


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT * FROM latency WHERE ts_ns BETWEEN 1 AND 2", "latency_by_time"),
        ("SELECT MAX(lat_ms) FROM latency WHERE from_stage = 'a' AND to_stage = 'b'", "latency_by_pair"),
        ("SELECT * FROM signal WHERE source = 'a' AND key = 'b' AND ts_ns > 5", "signal_by_key"),
        ("SELECT * FROM dropped WHERE ts_ns > 5", "dropped_by_time"),
        ("SELECT * FROM bookmark WHERE ts_ns > 5", "bookmark_by_time"),
        ("SELECT * FROM vm_metrics WHERE uuid = 'a' AND ts_ns > 5", "vm_metrics_by_vm"),
        ("SELECT * FROM vm_metrics WHERE ts_ns > 5", "vm_metrics_by_time"),
        ("SELECT * FROM vm_features WHERE uuid = 'a' AND ts_ns > 5", "vm_features_by_vm"),
        ("SELECT * FROM vm_features WHERE ts_ns > 5", "vm_features_by_time"),
    ],
)
def test_usual_questions_are_answered_by_an_index(session: Session, sql: str, index: str) -> None:
    plan = " ".join(str(row[-1]) for row in asked(session, f"EXPLAIN QUERY PLAN {sql}"))
    assert index in plan
