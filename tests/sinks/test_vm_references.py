"""Every query on the tables of virtual machines gives the answer that it should."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.influx_sinks import UUID, vm
from support.logger_databases import asked
from support.mux_scenarios import T0
from support.mux_sessions import MS, append, make_session, meta, mux_closed
from support.sink_sessions import store, store_path
from support.tree import REPOSITORY

PAGE = (REPOSITORY / "references" / "queries.md").read_text()
SECTION = PAGE.split("# Queries of virtual machines")[1].split("# Queries of the telemetry logger")[0]
NAMED = dict(re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", SECTION, re.MULTILINE | re.DOTALL))
S = 1000 * MS
HOUR_S = 3600


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of two guests: one polled at 0 s, an hour later, and 5 s after that, the other one shut off."""
    session = make_session(tmp_path_factory.mktemp("known") / "s")
    events = [meta(-1, "start", disorder_ms=200)]
    for number, second in enumerate((0, HOUR_S, HOUR_S + 5)):
        features: dict[str, Any] = (
            {"memory_rate_kb_per_sec": 10.0 * number, "memory_angle_deg": 84.0 + number} if number else {}
        )
        busy: dict[str, Any] = {"cputime_ns": second * 500_000_000, "memory_used_kb": 1000 + number}
        events.append(vm(second * 1000, **busy, **features))
        off: dict[str, Any] = {"vmid": 0, "name": "off", "state": "stopped", "cpu_count": 4 + number}
        events.append(vm(second * 1000, "off-uuid", **off, cputime_ns=None, memory_used_kb=None))
    append(session, "vmstat", [*events, meta(HOUR_S * 1000 + 6000, "stop")])
    mux_closed(session)
    store(session)
    return store_path(session)


LAST = T0 + (HOUR_S + 5) * S
ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "Machines: the newest reading of each": [
        ("off", "off-uuid", 0, "stopped", 6, None, LAST),
        ("ubuntu-vm", UUID, 1, "running", 2, 1002, LAST),
    ],
    "Machines: the memory trend of one over a day": [(LAST - 5 * S, 10.0, 85.0), (LAST, 20.0, 86.0)],
    "Machines: the mean number of processors": [("off", 5.0), ("ubuntu-vm", 2.0)],
    "Machines: the memory in use of one over time": [(LAST, 1002), (LAST - 5 * S, 1001), (T0, 1000)],
    "Machines: what each took of one processor, in percent": [("ubuntu-vm", 50.0)],
    "Machines: how long each was in which state": [
        ("off", "stopped", HOUR_S + 5.0),
        ("ubuntu-vm", "running", HOUR_S + 5.0),
    ],
}


def test_each_query_has_a_known_answer() -> None:
    assert set(NAMED) == {*ANSWERS, "Machines: the last hour"}


@pytest.mark.parametrize("name", ANSWERS)
def test_query_gives_the_known_answer(db: Path, name: str) -> None:
    assert asked(db, NAMED[name]) == ANSWERS[name]


def test_the_last_hour_leaves_out_what_is_older(db: Path) -> None:
    found = asked(db, NAMED["Machines: the last hour"])
    assert [row[3] for row in found] == [LAST, LAST, LAST - 5 * S, LAST - 5 * S]
