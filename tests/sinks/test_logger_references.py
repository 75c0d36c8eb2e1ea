"""Every query on the telemetry logger's tables gives the answer that it should, in a session's store and alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchlab.event import Event
from support.logger_databases import asked
from support.mux_scenarios import T0
from support.mux_sessions import append, make_session, meta, mux_closed
from support.pi_ticks import tick
from support.sink_sessions import store, store_path
from support.tree import REPOSITORY

PAGE = (REPOSITORY / "references" / "queries.md").read_text().split("# Queries of the telemetry logger")[1]
NAMED = dict(re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
BEGIN = T0 // 1_000_000_000
SECONDS = (0, 30, 60, 1000)
MOVED_MS = 1000_200


def known_ticks() -> list[Event]:
    """Return five ticks: three on battery, a gap, then two within one second while it charges."""
    found: list[Event] = []
    for number, ms in enumerate([*(second * 1000 for second in SECONDS), MOVED_MS]):
        flows = number < 3
        battery = {"voltage_v": 7.5, "power_w": -3.0 * (number + 1) if flows else 6.0, "capacity_pct": 80.0 - number}
        battery["current_a"] = -0.6 if flows else 0.3
        rows = [
            {"pid": 1, "name": "init", "cpu_pct": 1.0, "mem_pct": 0.5},
            {"pid": 77, "name": "cc1", "cpu_pct": 20.0 * (number + 1), "mem_pct": 2.0 + number},
        ]
        found += tick(ms, cpu=20.0 * (number + 1), battery=battery, processes=rows)
    return found


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    session = make_session(tmp_path_factory.mktemp("known") / "s")
    append(session, "pimon", [meta(-1, "start", disorder_ms=50), *known_ticks()])
    mux_closed(session)
    store(session)
    return store_path(session)


KEYS = [BEGIN + second for second in (0, 30, 60, 1000, 1001)]
WATTS = [3.0, 6.0, 9.0, 6.0, 6.0]
LOAD = [20.0, 40.0, 60.0, 80.0, 100.0]
ROWS = [*zip(KEYS, WATTS, LOAD, strict=True)]
LATE = [(KEYS[4], 6.0, 100.0), (KEYS[3], 6.0, 80.0)]

ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "Battery: the newest samples": [
        (key, 80.0 - number, WATTS[number], 10.0 if number < 3 else 0.0) for number, key in reversed([*enumerate(KEYS)])
    ],
    "Battery: mean drain over the last ten minutes": [(0.0, 6.0)],
    "Battery: percent per hour": [
        (KEYS[4], 76.0, -3600.0),
        (KEYS[3], 77.0, -3600 / 940),
        (KEYS[2], 78.0, -120.0),
        (KEYS[1], 79.0, -120.0),
    ],
    "Training: samples with what the busiest processes took": [
        (
            *(key, load, 1500.0, 0.5, 0.4, 0.3, 7.5, *((-0.6, -watts) if n < 3 else (0.3, watts)), 80.0 - n, watts),
            *((10.0, 0.0) if n < 3 else (0.0, 5.0)),
            *(load + 1, load, 2.5 + n),
        )
        for n, (key, watts, load) in enumerate(ROWS)
    ],
    "Energy in watt-hours": [((6 * 30 + 9 * 30 + 6 * 940 + 6) / 3600,)],
    "Energy in watt-hours, without gaps": [((4.5 * 30 + 7.5 * 30 + 6) / 3600, 61)],
    "Processes: the busiest now": [(77, "cc1", 100.0, 6.0), (1, "init", 1.0, 0.5)],
    "Processes: the busiest programs over time": [("cc1", 5, 60.0), ("init", 5, 1.0)],
    "Processes beside the power": [
        row
        for n, (key, watts, load) in zip((4, 3), LATE, strict=True)
        for row in ((key, watts, 77, "cc1", load, 2.0 + n), (key, watts, 1, "init", 1.0, 0.5))
    ],
    "One core": [(key, 0, 20.0) for key in KEYS],
    "Cores: how unevenly the load lies": [(0, 20.0, 20.0), (1, 30.0, 30.0)],
    "Power while a program was among the busiest, and while it was not": [(0, 2, 4.5), (1, 3, 7.0)],
    "Power by load, in steps of 25 %": [(0, 1, 3.0), (25, 1, 6.0), (50, 1, 9.0), (75, 1, 6.0), (100, 1, 6.0)],
    "Minute by minute": [
        (
            *(BEGIN // 60 * 60 + 60 * minute, len(in_it), sum(load for _, _, load in in_it) / len(in_it)),
            *(min(w for _, w, _ in in_it), sum(w for _, w, _ in in_it) / len(in_it), max(w for _, w, _ in in_it)),
        )
        for minute in range(20)
        if (in_it := [row for row in ROWS if row[0] // 60 == BEGIN // 60 + minute])
    ],
    "Gaps in the recording": [(KEYS[2], KEYS[3], 940)],
    "Stretches on battery": [(KEYS[0], 60, 2.0)],
    "Charge in milliampere-hours that left and entered": [(10.0, 5 / 60)],
    "Samples whose key was moved": [(KEYS[4], T0 + MOVED_MS * 1_000_000, 1)],
    "Which sessions, and whether they were simulated": [("s", None, 5, 0)],
    "Lags of the load, for training": [
        (KEYS[0], 3.0, 20.0, None, None),
        (KEYS[1], 6.0, 40.0, 20.0, None),
        (KEYS[2], 9.0, 60.0, 40.0, 20.0),
    ],
    "Memory that the busiest processes held": [("cc1", 6.0), ("init", 0.5)],
}


def test_there_are_the_nine_of_the_original_and_ten_more_each_with_a_known_answer() -> None:
    assert len(NAMED) >= 19
    assert set(NAMED) == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_query_gives_the_known_answer(db: Path, name: str) -> None:
    found = asked(db, NAMED[name])
    assert len(found) == len(ANSWERS[name])
    for row, known in zip(found, ANSWERS[name], strict=True):
        assert row == pytest.approx(known)
