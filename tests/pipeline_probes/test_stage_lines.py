"""Lines that programs send: what is one, what is none, and that the one costs the other nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.daemon import Reading
from benchlab.stages import MAX_LINE, is_name, is_text
from pipeline_probes.datagrams.senders import Senders
from pipeline_probes.datagrams.stage_line import FUTURE_NS, PAST_NS, Arrival, StageReader, Timeline

NOW = 10**18
TIMELINE = Timeline(NOW, from_boottime_ns=NOW - 10**15, from_monotonic_ns=NOW - 10**14)
ARRIVAL = Arrival(NOW - 5, 70, "pid 1")
GOOD = b'{"stage":"ingress","frame":17}'

names = st.text(min_size=1, max_size=128).filter(is_name)
int64 = st.integers(-(2**63), 2**63 - 1)
frames = int64 | names
stages = st.fixed_dictionaries({"stage": names}, optional={"frame": frames, "pts_ns": int64, "flow": names})


def read(*datagrams: bytes) -> tuple[list[Reading], Senders, list[dict[str, Any]]]:
    senders = Senders(since_ns=0)
    reader = StageReader(senders)
    readings = [reading for data in datagrams for reading in reader.read(data, ARRIVAL, TIMELINE)]
    assert reader.received == len(readings)
    return readings, senders, list(senders.reports(NOW, last=True))


@given(st.lists(stages, min_size=1), st.booleans(), st.booleans())
def test_stages_are_recorded_as_they_were_sent(sent: list[dict[str, Any]], escaped: bool, ended: bool) -> None:
    data = "\n".join(json.dumps(one, ensure_ascii=escaped) for one in sent) + "\n" * ended
    readings, senders, told = read(data.encode())
    assert [reading.kv for reading in readings] == sent
    assert (senders.lost, senders.malformed, told) == (0, 0, [])


@given(st.text(min_size=1, max_size=1024).filter(is_text))
def test_bookmark_is_recorded_as_it_was_sent(text: str) -> None:
    ((reading,), _, told) = read(json.dumps({"bookmark": text}).encode())
    assert (reading.source, reading.kv, told) == ("bookmark", {"text": text}, [])


@given(st.lists(st.binary(max_size=200).filter(lambda junk: b"\n" not in junk and not is_json(junk))))
def test_junk_costs_no_line_beside_it(junk: list[bytes]) -> None:
    readings, senders, told = read(b"\n".join([GOOD, *(line for bad in junk for line in (bad, GOOD))]))
    bad = sum(bool(line.strip()) for line in junk)
    assert len(readings) == len(junk) + 1
    assert senders.malformed == bad
    assert sum(gap["n"] for gap in told if gap["why"] == "malformed_stage") == bad


def is_json(junk: bytes) -> bool:
    try:
        json.loads(junk)
    except ValueError:
        return False
    return True


@given(st.binary(max_size=2000))
def test_nothing_that_comes_is_fatal(data: bytes) -> None:
    read(data)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"ingress 17", "found 'ingress 17' (JSON is malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"frame":17}', "found no stage, bookmark or seq"),
        (b'{"stage":17}', "Expected `str | null`, got `int` - at `$.stage`"),
        (b'{"stage":""}', "length >= 1"),
        (b'{"stage":"' + b"x" * 129 + b'"}', "length <= 128"),
        (b'{"stage":"a\\u0007b"}', "found the name 'a\\x07b', expected 1 to 128 printable characters"),
        (b'{"stage":"a","flow":"\\n"}', "found the name '\\n'"),
        (b'{"stage":"a","frame":1.5}', "got `float` - at `$.frame`"),
        (b'{"stage":"a","frame":true}', "got `bool` - at `$.frame`"),
        (b'{"stage":"a","frame":9223372036854775808}', "`$.frame`"),
        (b'{"stage":"a","pts_ns":"1"}', "`$.pts_ns`"),
        (b'{"stage":"a","seq":-1}', "`$.seq`"),
        (b'{"stage":"a","bookmark":"b"}', "found a stage and a bookmark in one line"),
        (b'{"bookmark":" "}', "found a bookmark of white space"),
        (b'{"bookmark":"' + b"x" * 1025 + b'"}', "length <= 1024"),
        (b'{"stage":"a","v":2}', "`$.v`"),
        (b'{"stage":"\xff"}', "\\xff"),
        (b'{"stage":"a","boottime_ns":17}', f"found a time {10**6 - 0.000000017:.3f} s ago"),
        (b'{"stage":"a","monotonic_ns":1800000000000000000}', "s ahead, expected CLOCK_BOOTTIME or CLOCK_MONOTONIC"),
        (
            b'{"stage":"a","x":"' + b"x" * MAX_LINE + b'"}',
            f"found a line of {MAX_LINE + 20} bytes, expected at most 8192",
        ),
    ],
)
def test_line_that_is_none_is_told_with_what_was_found_and_expected(line: bytes, said: str) -> None:
    readings, senders, (gap,) = read(b"\n".join([GOOD, line, GOOD, b""]))
    assert len(readings) == 2
    assert senders.malformed == 1
    assert said in gap["detail"]
    assert {key: gap[key] for key in ("n", "why", "sender")} == {"n": 1, "why": "malformed_stage", "sender": "pid 1"}


@pytest.mark.parametrize(
    ("fields", "ts_ns", "unc_ns"),
    [
        ({"boottime_ns": 10**15 - 3}, NOW - 3, None),
        ({"monotonic_ns": 10**14 - 4}, NOW - 4, None),
        ({"boottime_ns": 10**15 - 3, "monotonic_ns": 10**14 - 4}, NOW - 3, None),
        ({"boottime_ns": 10**15 - PAST_NS}, NOW - PAST_NS, None),
        ({"boottime_ns": 10**15 + FUTURE_NS}, NOW + FUTURE_NS, None),
        ({}, ARRIVAL.ts_ns, ARRIVAL.unc_ns),
    ],
)
def test_time_is_the_senders_else_the_kernels(fields: dict[str, int], ts_ns: int, unc_ns: int | None) -> None:
    ((reading,), *_) = read(json.dumps({"stage": "a", **fields}).encode())
    assert (reading.ts_ns, reading.unc_ns) == (ts_ns, unc_ns)


def test_malformed_line_is_counted_once_under_the_sender_and_number_that_it_bears() -> None:
    lines = [
        b'{"sender":"cam","seq":4,"stage":"a"}',
        b'{"sender":"cam","seq":5,"stage":"cut of',
        b'{"sender":"cam","seq":6,"stage":"a"}',
    ]
    readings, senders, told = read(*lines)
    assert len(readings) == 2
    assert (senders.lost, senders.malformed) == (0, 1)
    assert [(gap["sender"], gap["why"]) for gap in told] == [("cam", "malformed_stage")]


def test_line_without_sender_is_of_the_one_before_it_else_of_the_process() -> None:
    first = b'{"seq":1,"stage":"a"}\n{"sender":"x","seq":10,"stage":"a"}\n{"seq":12,"stage":"a"}\n'
    second = b'{"seq":3,"stage":"a"}\n'
    _, _, told = read(first, second)
    assert {(gap["sender"], gap["n"]) for gap in told} == {("x", 1), ("pid 1", 1)}


def test_unknown_fields_and_empty_lines_are_no_matter() -> None:
    readings, senders, _ = read(b'\n{"stage":"a","colour":"red"}\n\n  \n{"stage":"b"}\r\n')
    assert [reading.kv for reading in readings] == [{"stage": "a"}, {"stage": "b"}]
    assert senders.malformed == 0
