"""What passed the pads becomes events: which buffers are frames, and which times are believed."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from benchlab.clock import SessionClock, monotonic_ns
from pipeline_probes.gst.capture_time import NS, NTP_TO_UNIX_S, CaptureTime, Reference
from pipeline_probes.gst.notes import FLUSH, HEADER, Note
from pipeline_probes.gst.running_time import NONE, Segment
from pipeline_probes.gst.stage_times import UNC_NS, StageTimes
from pipeline_probes.stage_spec import StageSpec
from support.pipelines import at, told

MS = 1_000_000
PLAIN = Segment(1.0, 0, 0, 0, NONE, NONE)
HOURS_LATER = Segment(1.0, 0, 0, 3_600_000 * NS, NONE, NONE)
FRAME = 33_333_333


@pytest.fixture
def times(timeline: SessionClock) -> StageTimes:
    made = StageTimes("test", [StageSpec("in", "a", "src"), StageSpec("out", "b", "src")], timeline, disorder_ms=20)
    made.restarted(CaptureTime(timeline, monotonic_ns))
    return made


def note(stage: int, what: Any, extra: Any = None, ago_ms: float = 0) -> Note:
    return (monotonic_ns() - round(ago_ms * MS), stage, what, extra)


def test_identity_survives_an_element_that_shifts_the_timestamps(times: StageTimes) -> None:
    found = times.readings([
        note(0, PLAIN), note(1, HOURS_LATER), note(0, FRAME), note(1, 3_600_000 * NS + FRAME),
    ])  # fmt: skip
    assert at(found, "in") == at(found, "out") == [FRAME]


def test_readings_come_in_order_of_time(times: StageTimes) -> None:
    found = times.readings([note(0, PLAIN, ago_ms=9), note(0, FRAME, ago_ms=3), note(1, FRAME, ago_ms=5)])
    assert [reading.kv["stage"] for reading in found] == ["out", "in"]
    assert all(reading.unc_ns == UNC_NS for reading in found)


def test_parts_of_one_frame_are_one_event(times: StageTimes) -> None:
    packets = [note(1, pts) for pts in (FRAME, FRAME, FRAME, 2 * FRAME, 2 * FRAME)]
    assert at(times.readings([note(1, PLAIN), *packets]), "out") == [FRAME, 2 * FRAME]


def test_reordered_frames_keep_their_own_times(times: StageTimes) -> None:
    decoding_order = [0, 3 * FRAME, FRAME, 2 * FRAME]
    found = times.readings([note(1, PLAIN), *(note(1, pts) for pts in decoding_order)])
    assert at(found, "out") == decoding_order


def test_buffer_without_a_timestamp_has_no_identity_and_a_header_is_no_frame(times: StageTimes) -> None:
    found = times.readings([note(0, PLAIN), note(0, NONE, HEADER), note(0, NONE)])
    assert [reading.kv for reading in found] == [{"stage": "in", "flow": "test"}]


def test_buffer_before_any_segment_has_no_identity(times: StageTimes) -> None:
    assert at(times.readings([note(0, FRAME)]), "in") == [None]


def test_times_go_on_after_a_flush_though_the_running_time_begins_anew(times: StageTimes) -> None:
    found = times.readings([
        note(0, PLAIN), note(0, 0), note(0, FRAME), note(1, PLAIN), note(1, 0),
        note(0, FLUSH), note(0, PLAIN), note(0, 0),
        note(1, FLUSH), note(1, PLAIN), note(1, 0),
    ])  # fmt: skip
    first, second, third = at(found, "in")
    assert (first, second) == (0, FRAME)
    assert third > FRAME
    assert at(found, "out") == [0, third]


def test_times_go_on_after_a_restart_that_had_frames_only(times: StageTimes, timeline: SessionClock) -> None:
    capture = CaptureTime(timeline, monotonic_ns)
    times.restarted(capture)
    assert at(times.readings([note(0, PLAIN), note(0, 0)]), "in") == [0]
    times.restarted(capture)
    assert at(times.readings([note(0, PLAIN), note(0, 0)]), "in")[0] > 0


def test_caps_are_told_once_and_when_they_change(times: StageTimes) -> None:
    found = times.readings([note(0, "video/x-raw, width=1"), note(0, "video/x-raw, width=1"), note(0, "video/x-h264")])
    assert [line["caps"] for line in told(found, "caps")] == ["video/x-raw, width=1", "video/x-h264"]
    assert {line["stage"] for line in told(found, "caps")} == {"in"}


def test_v4l2_timestamp_is_the_capture_stage_of_the_first_stage_only(times: StageTimes) -> None:
    base_ns = monotonic_ns() - 50 * MS
    found = times.readings([note(0, PLAIN), note(1, PLAIN), note(0, 35 * MS), note(1, 35 * MS)], base_ns)
    assert [reading.kv["stage"] for reading in found] == ["capture", "in", "out"]
    assert at(found, "capture") == [35 * MS]
    capture, ingress, _ = found
    assert capture.ts_ns is not None and ingress.ts_ns is not None
    assert ingress.ts_ns - capture.ts_ns >= 15 * MS - UNC_NS


@pytest.mark.parametrize("before_unix_s", [0, NTP_TO_UNIX_S])
def test_reference_timestamp_of_the_wall_clock_is_put_on_the_timeline(
    times: StageTimes, timeline: SessionClock, before_unix_s: int
) -> None:
    captured_ns = timeline.now_ns() - 12 * MS
    wall_ns = captured_ns + timeline.wall_offset_ns()[0]
    reference = Reference(wall_ns + before_unix_s * NS, before_unix_s * NS)
    (capture, _) = times.readings([note(0, PLAIN), note(0, FRAME, reference)])[-2:]
    assert capture.kv == {"stage": "capture", "pts_ns": FRAME, "flow": "test"}
    assert capture.ts_ns == pytest.approx(captured_ns, abs=5 * MS)
    assert capture.unc_ns is not None


@pytest.mark.parametrize("off_s", [-126 * 365 * 86_400, -11, 3600])
def test_capture_time_that_cannot_be_is_not_recorded_and_said_once(
    times: StageTimes, timeline: SessionClock, caplog: pytest.LogCaptureFixture, off_s: int
) -> None:
    wrong = Reference(timeline.now_ns() + off_s * NS, 0)
    with caplog.at_level(logging.WARNING):
        found = times.readings([note(0, PLAIN), *(note(0, n * FRAME, wrong) for n in range(3))])
    assert at(found, "capture") == []
    assert len(at(found, "in")) == 3
    assert len([record for record in caplog.records if "not believed" in record.message]) == 1


def test_capture_time_that_muxd_will_call_late_is_recorded_and_said(
    times: StageTimes, timeline: SessionClock, caplog: pytest.LogCaptureFixture
) -> None:
    old = Reference(timeline.now_ns() - 300 * MS, 0)
    with caplog.at_level(logging.WARNING):
        found = times.readings([note(0, PLAIN), note(0, FRAME, old)])
    assert at(found, "capture") == [FRAME]
    assert "late" in caplog.text
