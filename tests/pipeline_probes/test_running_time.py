"""Running time is GStreamer's own, and presentation times never return."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_probes.gst.running_time import NONE, Epochs, Segment, running_time_ns

TIMES = st.integers(0, 2**52)
SEGMENTS = st.builds(
    Segment,
    rate=st.sampled_from([1.0, 2.0, 0.5, -1.0, -4.0]),
    base=TIMES,
    offset=st.integers(0, 2**40),
    start=TIMES,
    stop=st.one_of(st.just(NONE), st.integers(2**41, 2**53)),
    duration=st.one_of(st.just(NONE), st.integers(2**41, 2**53)),
)


@pytest.fixture(scope="module")
def segment(gst: Any) -> Any:
    made = gst.Segment()
    made.init(gst.Format.TIME)
    return made


@settings(max_examples=500)
@given(ours=SEGMENTS, pts_ns=TIMES)
def test_running_time_is_what_gstreamer_says(gst: Any, segment: Any, ours: Segment, pts_ns: int) -> None:
    if ours.rate < 0 and ours.stop == NONE == ours.duration:
        assert running_time_ns(ours, pts_ns) is None  # GStreamer refuses to answer, with a critical warning
        return
    for field, value in ours._asdict().items():
        setattr(segment, field, value)
    sign, size = segment.to_running_time_full(gst.Format.TIME, pts_ns)
    assert running_time_ns(ours, pts_ns) == sign * size


def test_no_timestamp_has_no_running_time() -> None:
    assert running_time_ns(Segment(1.0, 0, 0, 0, NONE, NONE), NONE) is None


def test_first_epoch_keeps_the_running_time_itself() -> None:
    epochs = Epochs()
    assert [epochs.pts_ns(0, running, 10_000 + running) for running in (0, 33, 66)] == [0, 33, 66]


def test_second_stage_to_enter_an_epoch_agrees_with_the_first() -> None:
    epochs = Epochs()
    epochs.pts_ns(0, 40, 1_000)
    ahead = epochs.pts_ns(1, 7, 3_000)
    assert epochs.pts_ns(1, 7, 9_000) == ahead


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**10)), min_size=1))
def test_no_presentation_time_is_used_in_two_epochs(frames: list[tuple[int, int]]) -> None:
    """A pipeline that ran ahead of the clock, and was restarted at once, is the worst case."""
    epochs = Epochs()
    taken: dict[int, int] = {}
    for epoch, running_ns in sorted(frames):
        pts_ns = epochs.pts_ns(epoch, running_ns, now_ns=epoch)
        assert taken.setdefault(pts_ns, epoch) == epoch
