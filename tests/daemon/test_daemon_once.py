from __future__ import annotations

import io
import threading
from time import time_ns
from typing import Any

import msgspec

from benchlab.daemon import Absent, Reading, Source, once
from benchlab.errors import Exit
from benchlab.event import Scalar, Value


class Clock:
    def now_ns(self) -> int:
        return time_ns()

    def step_ns(self) -> int | None:
        return None


class Rate:
    """Knows its rate from the second sample on, as real ones do."""

    name = "nic.psutil"

    def __init__(self) -> None:
        self._samples = 0

    def sample(self) -> list[Reading]:
        self._samples += 1
        kv: dict[str, Value] = {"rx_bytes": 5}
        return [Reading(kv if self._samples == 1 else {**kv, "rx_bytes_s": 7.0}, dev="eth0")]


class Missing:
    name = "test.missing"

    def sample(self) -> list[Reading]:
        raise Absent("no bus", "plug it in")


class Stuck:
    name = "test.stuck"

    def sample(self) -> list[Reading]:
        threading.Event().wait()
        return []


def run(*sources: Source, as_json: bool = True) -> tuple[int, str]:
    out = io.StringIO()
    code = once(sources, Clock(), as_json, out, rate_s=0.01, deadline_s=1.0)
    return code, out.getvalue()


def rows(text: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in text.splitlines()]


def test_rates_are_known_because_each_source_is_sampled_twice() -> None:
    code, text = run(Rate())
    assert code == Exit.OK
    (event,) = rows(text)
    assert event["source"] == "nic.psutil"
    assert event["dev"] == "eth0"
    assert event["kv"] == {"rx_bytes": 5, "rx_bytes_s": 7.0}


def test_absent_source_is_told_with_reason_and_fix_and_does_not_fail_the_others() -> None:
    code, text = run(Missing(), Rate())
    assert code == Exit.OK
    down, event = rows(text)
    assert down["kv"] == {"event": "source_down", "which": "test.missing", "reason": "no bus", "fix": "plug it in"}
    assert event["source"] == "nic.psutil"


def test_no_source_at_all_is_exit_code_4() -> None:
    code, _ = run(Missing())
    assert code == Exit.NO_DEVICE


def test_stuck_source_does_not_hold_up_the_answer() -> None:
    code, text = run(Stuck(), Rate())
    assert code == Exit.OK
    assert rows(text)[0]["kv"]["reason"] == "no answer in time"


def test_table_for_people_has_values_with_units_and_reasons() -> None:
    _, text = run(Missing(), Rate(), as_json=False)
    assert "test.missing: absent: no bus (plug it in)" in text
    assert "nic.psutil eth0" in text
    assert any(line.split() == ["rx_bytes_s", "7.0", "B/s"] for line in text.splitlines())


def test_device_that_a_source_finds_is_sampled_too() -> None:
    class Scout:
        name = "test.meter"

        def __init__(self) -> None:
            self.found: list[Source] = [Rate()]

        def sample(self) -> list[Reading]:
            return []

        def arrivals(self) -> list[Source]:
            found, self.found = self.found, []
            return found

    code, text = run(Scout())
    assert code == 0
    assert [row["source"] for row in rows(text)] == ["nic.psutil"]


def test_events_that_came_during_either_sample_are_shown() -> None:
    class Waiting(Rate):
        waits = True

        def sample(self) -> list[Reading]:
            return [Reading({"n": 1}, ts_ns=1)]

    assert len(rows(run(Waiting())[1])) == 2


def test_device_says_what_it_is_above_its_reading_once() -> None:
    class Meter:
        name, dev = "test.meter", "17"

        def __init__(self) -> None:
            self.identity: dict[str, Scalar] = {}

        def sample(self) -> list[Reading]:
            self.identity = {"product": "BENCHLAB 2", "contract": "unknown"}
            return [Reading({"raw_hex": "00"}, dev=self.dev), Reading({"raw_hex": "01"}, dev=self.dev)]

    _, text = run(Meter(), as_json=False)
    device = ["test.meter 17", "product BENCHLAB 2", "contract unknown", "raw_hex 00"]
    assert [" ".join(line.split()) for line in text.splitlines()] == [*device, "test.meter 17", "raw_hex 01"]
