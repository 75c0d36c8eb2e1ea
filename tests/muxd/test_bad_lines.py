"""What a raw line may hold: nothing in it stops muxd, and what is good beside it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchlab.event import encode_lines
from benchlab.session import Session
from muxd.metrics import Metrics
from muxd.opening import Opener, catch_up
from support.mux_scenarios import T0
from support.mux_sessions import (
    FOR_EVER_NS,
    MS,
    PAIRS,
    SETTINGS,
    append,
    close_session,
    make_session,
    meta,
    mux_closed,
    power,
    quarantined,
    record,
    replayed,
    rows,
    stage,
    usual_run,
    written,
)

FRAMES = 30
NEXT_YEAR = T0 + 365 * 86_400 * 10**9

BAD = {
    "malformed": (b'{"ts_ns":1763800000,"source"', "not_json"),
    "torn and glued": (b'{"ts_ns":17638000{"ts_ns":%d,"source":"pipeline","kv":{}}' % T0, "not_json"),
    "not utf-8": (b'{"ts_ns":%d,"source":"pipeline","kv":{"stage":"\xff\xfe"}}' % T0, "not_utf8"),
    "oversized": (b'{"ts_ns":%d,"source":"x","kv":{"a":"%s"}}' % (T0, b"a" * (1 << 20)), "oversized"),
    "no object": (b"[1,2,3]", "not_object"),
    "ts_ns missing": (b'{"source":"pipeline","kv":{"stage":"ingress"}}', "bad_ts_ns"),
    "ts_ns negative": (b'{"ts_ns":-5,"source":"pipeline","kv":{}}', "bad_ts_ns"),
    "ts_ns NaN": (b'{"ts_ns":NaN,"source":"pipeline","kv":{}}', "not_json"),
    "ts_ns a float": (b'{"ts_ns":1.5e18,"source":"pipeline","kv":{}}', "bad_ts_ns"),
    "ts_ns a string": (b'{"ts_ns":"1763800000","source":"pipeline","kv":{}}', "bad_ts_ns"),
    "ts_ns beyond 63 bits": (b'{"ts_ns":9223372036854775808,"source":"pipeline","kv":{}}', "bad_ts_ns"),
    "ts_ns far in the future": (b'{"ts_ns":%d,"source":"pipeline","kv":{"stage":"ingress"}}' % NEXT_YEAR, "far_future"),
    "kv a list": (b'{"ts_ns":%d,"source":"pipeline","kv":["stage","ingress"]}' % T0, "bad_kv"),
    "kv a string": (b'{"ts_ns":%d,"source":"pipeline","kv":"ingress"}' % T0, "bad_kv"),
    "kv null": (b'{"ts_ns":%d,"source":"pipeline","kv":null}' % T0, "bad_kv"),
    "kv missing": (b'{"ts_ns":%d,"source":"pipeline"}' % T0, "bad_kv"),
    "a lone surrogate": (b'{"ts_ns":%d,"source":"pipeline","kv":{"stage":"\\ud800"}}' % T0, "not_json"),
    "a number beyond floats": (b'{"ts_ns":%d,"source":"pipeline","kv":{"a":1e999}}' % T0, "bad_kv"),
}


def with_line(session: Session, stream: str, line: bytes) -> int:
    """Record the usual run with a line in the middle of a stream; return its offset there."""
    streams = usual_run(FRAMES)
    middle = len(streams[stream]) // 2
    head, tail = encode_lines(streams[stream][:middle]), encode_lines(streams[stream][middle:])
    record(session, {name: events for name, events in streams.items() if name != stream})
    append(session, stream, head + line + b"\n" + tail)
    return len(head)


def assert_usual(session: Session) -> None:
    """All frames of the usual run were paired and have their power and energy."""
    paired = [row["kv"] for row in rows(session) if row["source"] == "metric.latency"]
    assert sum("energy_j" in kv and kv["lat_ms"] == 10.0 for kv in paired) == FRAMES


@pytest.mark.parametrize("stream", ["pipeline", "benchlab"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_put_in_quarantine_and_stops_nothing(name: str, stream: str, tmp_path: Path) -> None:
    line, reason = BAD[name]
    session = make_session(tmp_path / "s")
    offset = with_line(session, stream, line)
    mux_closed(session)
    assert_usual(session)
    assert len(rows(session)) == FRAMES
    (found,) = quarantined(session, stream)
    assert (found["reason"], found["offset"], found["length"]) == (reason, offset, len(line))
    assert written(session) == replayed(session, tmp_path / "again")


def test_a_bad_line_is_counted_on_metrics(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    with_line(session, "pipeline", b"garbage")
    metrics = Metrics(PAIRS)
    close_session(session)
    mux = Opener(session, SETTINGS, FOR_EVER_NS, observer=metrics).open()
    catch_up(mux, True)
    mux.close()
    assert b'benchlab_source_errors_total{reason="bad_line",source="log"} 1.0' in metrics.render()


def test_a_torn_last_line_of_a_closed_session_stays_unread(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    record(session, usual_run(FRAMES))
    append(session, "pipeline", b'{"ts_ns":17638')
    mux_closed(session)
    assert_usual(session)
    assert written(session) == replayed(session, tmp_path / "again")


def test_a_duplicated_line_is_reported_once_and_counted_nowhere_else(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    streams = usual_run(FRAMES)
    for name, index in (("pipeline", 11), ("pipeline", 24), ("benchlab", 20)):
        streams[name].insert(index, streams[name][index])
    record(session, streams)
    mux_closed(session)
    assert_usual(session)
    dropped = [row["kv"] for row in rows(session) if row["source"] == "metric.dropped"]
    assert [kv["reason"] for kv in dropped] == ["duplicate", "duplicate"]


SOME: tuple[Any, ...] = ([], ["a"], "text", None, True, {"a": 1}, 1.5, 10**30, 10**400, -1, 0)
STRANGE: list[tuple[str, dict[str, Any]]] = [
    *(("pipeline", {"stage": value, "frame": 3}) for value in SOME),
    *(("pipeline", {"stage": "ingress", "frame": value}) for value in SOME),
    *(("pipeline", {"stage": "encoded", "pts_ns": value}) for value in SOME),
    *(("pipeline", {"stage": "encoded", "frame": 1000, "flow": value}) for value in SOME),
    *(("meta", {"event": value}) for value in SOME),
    *(("meta", {"event": "source_down", "which": value}) for value in SOME if value != "text"),
    *(("meta", {"event": "start", "disorder_ms": 20, "sources": value}) for value in SOME),
    *(
        ("meta", {"event": "start", "disorder_ms": 20, "sources": [{"source": source, key: value}]})
        for value in (*SOME, 1e300)
        for key in ("period_ms", "window_ms")
        for source in ("benchlab.usb", 7)
    ),
    *((source, {"ts_ns": value}) for value in SOME for source in ("metric.late", "metric.latency", "", "x" * 5000)),
    *(("benchlab.usb", {"temp_c": value}) for value in SOME),
    *(("cpu.psutil", {"cpu_util": value, "cores": value}) for value in SOME),
]


@pytest.mark.parametrize(("source", "kv"), STRANGE, ids=[msgspec.json.encode(s).decode()[:60] for s in STRANGE])
def test_a_value_of_a_strange_type_changes_nothing_else(source: str, kv: dict[str, Any], tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    line = msgspec.json.encode({"ts_ns": T0 + 230 * MS, "source": source, "kv": kv})
    with_line(session, "pipeline", line)
    metrics = Metrics(PAIRS)
    mux = Opener(session, SETTINGS, FOR_EVER_NS, observer=metrics).open()
    catch_up(mux, False)
    mux.settle(unless_waiting=False)  # which copies the engine
    mux.checkpoint(now=True)
    metrics.see(mux)
    mux.close()
    assert metrics.render().endswith(b"\n")
    mux_closed(session)
    paired = [row for row in rows(session) if row["kv"].get("frame") in range(FRAMES) and "lat_ms" in row["kv"]]
    assert len(paired) == FRAMES
    assert quarantined(session, "pipeline") == []
    assert written(session) == replayed(session, tmp_path / "again")


@pytest.mark.parametrize("value", SOME, ids=lambda value: str(value)[:40])
def test_a_power_that_is_no_number_is_no_sample(value: Any, tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    middle = power(309, value)  # of frame 19
    with_line(session, "benchlab", msgspec.json.encode(middle))
    mux_closed(session)
    assert_usual(session)
    (watts,) = (row["kv"]["power_w"] for row in rows(session) if row["kv"]["frame"] == 19)
    if value.__class__ in (int, float) and value != 10**400:
        assert watts == float(value)
    else:
        assert 100 <= watts <= 107


def test_a_nested_value_is_no_row_of_the_grid(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    event = power(0, 5.0, cores=[{"cpu": 1}], deep={"a": {"b": 1}})
    append(session, "benchlab", [event, power(2500, 5.0), meta(2600, "stop")])
    append(session, "pipeline", [stage(1, "ingress", 1), stage(2500, "ingress", 2)])
    mux_closed(session)
    assert [row["kv"] for row in rows(session, "signals.jsonl")] == [{"p_sys": 5.0}] * 3
