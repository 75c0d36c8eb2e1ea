"""Real pipelines: what is recorded of them, how they end, how they fail, and that they are let alone."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchlab.clock import SessionClock, wall_ns
from benchlab.daemon import Absent, Reading, Transient
from pipeline_probes.gst import native
from pipeline_probes.gst.graph import Graph
from pipeline_probes.gst.pipeline_source import PipelineSource
from pipeline_probes.gst.stage_times import UNC_NS
from support.pipelines import at, failure_of, frames, moments, to_the_end, told, until

Play = Callable[..., PipelineSource]

RAW = "video/x-raw,width=64,height=48,framerate=100/1"


def test_frames_are_known_again_behind_x264enc(play: Play) -> None:
    text = f"videotestsrc num-buffers=40 ! {RAW} ! tee name=ingress ! x264enc name=enc ! fakesink"
    found = to_the_end(play(text, "ingress=ingress.src", "encoded=enc.src"))
    ingress, encoded = at(found, "ingress"), at(found, "encoded")
    assert ingress == [n * 10_000_000 for n in range(40)]
    assert encoded != ingress, "b-frames come in decoding order, else this test shows less than it should"
    assert sorted(encoded) == ingress


def test_every_event_says_when_in_order_and_how_surely(play: Play, timeline: SessionClock) -> None:
    begin_ns = timeline.now_ns()
    text = f"videotestsrc num-buffers=10 ! {RAW} ! identity name=i ! fakesink"
    found = to_the_end(play(text, "a=i.sink", "b=i.src"))
    seen = [one for one in found if one.source is None]
    stamps = [one.ts_ns or 0 for one in seen]
    assert begin_ns < stamps[0]
    assert stamps == sorted(stamps)
    assert stamps[-1] < timeline.now_ns()
    assert {one.unc_ns for one in seen} == {UNC_NS}
    before, after = moments(found, "a"), moments(found, "b")
    assert all(ts_ns <= after[pts] for pts, ts_ns in before.items())


def test_packets_of_a_frame_are_one_event(play: Play) -> None:
    text = (
        "videotestsrc num-buffers=5 ! video/x-raw,width=320,height=240 ! x264enc tune=zerolatency "
        "! rtph264pay name=pay mtu=200 ! fakesink name=end"
    )
    packets = at(to_the_end(play(text, "packets=pay.src", "end=end.sink")), "packets")
    assert len(packets) == len(set(packets)) == 5


def test_caps_and_their_change_are_told(play: Play, gst: Any) -> None:
    text = f"videotestsrc num-buffers=30 ! capsfilter name=size caps={RAW} ! fakesink name=end"
    graphs: list[Graph] = []
    source = play(text, "a=end.sink", setup=graphs.append)
    found = until(source, lambda found: told(found, "caps"))
    assert "width=(int)64" in told(found, "caps")[0]["caps"]
    assert told(found, "caps")[0]["stage"] == "a"


def test_leaky_queue_says_how_much_it_lost(play: Play) -> None:
    text = (
        f"videotestsrc num-buffers=100 ! {RAW} ! identity name=a "
        "! queue name=narrow leaky=downstream max-size-buffers=1 ! identity name=b sleep-time=20000 ! fakesink"
    )
    found = to_the_end(play(text, "a=a.src", "b=b.src"))
    lost = len(set(at(found, "a")) - set(at(found, "b")))
    drops = told(found, "dropped")
    assert lost > 0
    assert lost <= sum(line["n"] for line in drops) <= lost + 2  # it says that it is full, and may have room after all
    assert {(line["element"], line["why"]) for line in drops} == {("narrow", "leaky")}


def test_sink_that_drops_late_buffers_says_how_many(play: Play) -> None:
    text = (
        f"videotestsrc num-buffers=60 is-live=true ! {RAW} ! identity sleep-time=40000 "
        "! fakesink name=end sync=true qos=true max-lateness=1000000"
    )
    drops = told(to_the_end(play(text, "a=end.sink")), "dropped")
    assert {(line["element"], line["why"]) for line in drops} == {("end", "qos")}
    assert 0 < sum(line["n"] for line in drops) <= 60


def test_end_of_the_pipeline_is_told_after_its_last_frame(play: Play) -> None:
    source = play("videotestsrc num-buffers=20 ! fakesink name=end", "a=end.sink")
    assert len(at(to_the_end(source), "a")) == 20


def test_error_is_transient_and_the_pipeline_is_played_again(play: Play) -> None:
    source = play(f"videotestsrc ! {RAW} ! identity name=i error-after=5 ! fakesink", "a=i.sink")
    runs = []
    for _ in range(2):
        readings: list[Reading] = []
        with pytest.raises(Transient, match="Failed after iterations"):
            while True:
                readings += source.sample()
        runs.append(at(readings, "a"))
    assert all(len(run) >= 4 for run in runs)
    assert not set(runs[0]) & set(runs[1]), "presentation times returned"


def test_the_same_failure_has_the_same_words_each_time(play: Play) -> None:
    source = play("filesrc name=clip location=/nonexistent/clip ! fakesink name=end", "a=end.sink")
    failures = [failure_of(source) for _ in range(3)]
    assert {str(failure) for failure in failures} == {'clip: Resource not found. (No such file "/nonexistent/clip")'}
    assert all(isinstance(failure, Absent) for failure in failures)


def test_absent_device_is_named_with_what_to_do_and_taken_when_it_appears(play: Play, tmp_path: Path) -> None:
    """The seam: a file in place of the device."""
    device = tmp_path / "video9"
    text = f"filesrc location={device} blocksize=100 name=cam ! fakesink name=end"
    source = play(text, "a=end.sink", device=device)
    assert source.dev == str(device)
    for _ in range(2):
        failure = failure_of(source)
        assert isinstance(failure, Absent)
        assert str(device) in failure.reason
        assert failure.fix
    device.write_bytes(bytes(1000))
    assert len(at(to_the_end(source), "a")) == 10


def test_device_that_must_not_be_read_names_the_group(play: Play, tmp_path: Path) -> None:
    device = tmp_path / "video9"
    device.touch()
    source = play("videotestsrc ! fakesink name=end", "a=end.sink", device=device, access=lambda path, mode: False)
    failure = failure_of(source)
    assert isinstance(failure, Absent)
    assert "permission denied" in failure.reason
    assert "usermod -aG video" in failure.fix


@pytest.mark.parametrize(("device", "kind"), [("/nonexistent/video0", Absent), ("/dev/null", Transient)])
def test_device_that_v4l2src_refuses_is_named(play: Play, device: str, kind: type[Exception]) -> None:
    failure = failure_of(play(f"v4l2src device={device} ! fakesink name=end", "a=end.sink"))
    assert isinstance(failure, kind)
    assert device in str(failure)


def test_busy_device_says_who_to_ask(gst: Any, tmp_path: Path) -> None:
    from gi.repository import GLib

    from pipeline_probes.gst.bus import failure

    element = gst.ElementFactory.make("fakesrc", "cam")
    error = GLib.Error.new_literal(gst.ResourceError.quark(), "Device '/dev/video0' is busy", gst.ResourceError.BUSY)
    said = failure(
        gst, gst.Message.new_error(element, error, "v4l2.c(1): open ()\nsystem error: busy"), Path("/dev/video0")
    )
    assert isinstance(said, Transient)
    assert "fuser -v /dev/video0" in str(said)


def test_name_of_the_card_is_part_of_its_identity(play: Play, tmp_path: Path) -> None:
    name = tmp_path / "sys/class/video4linux/video9/name"
    name.parent.mkdir(parents=True)
    name.write_text("USB Capture HDMI\n")
    source = play("videotestsrc ! fakesink name=end", "a=end.sink", device=Path("/dev/video9"), root=tmp_path)
    assert source.identity["card"] == "USB Capture HDMI"
    assert str(source.identity["gstreamer"]).startswith("GStreamer 1.")


def test_capture_time_of_a_live_source_comes_before_the_first_stage(play: Play) -> None:
    """videotestsrc in place of v4l2src: both stamp with the pipeline's clock."""
    text = f"videotestsrc num-buffers=20 is-live=true ! {RAW} ! identity name=i sleep-time=3000 ! fakesink"
    found = to_the_end(play(text, "in=i.src", capture_sources=("videotestsrc",), disorder_ms=500))
    capture, ingress = moments(found, "capture"), moments(found, "in")
    assert set(capture) == set(ingress)
    assert len(capture) == 20
    assert all(ingress[pts] - ts_ns >= 3_000_000 - UNC_NS for pts, ts_ns in capture.items())
    assert all(one.unc_ns is not None for one in frames(found, "capture"))


def test_reference_timestamps_are_found_though_the_first_frames_have_none(play: Play, gst: Any) -> None:
    count = 30
    unix = gst.Caps.from_string("timestamp/x-unix")

    def feed(graph: Graph) -> None:
        def need_data(appsrc: Any, wanted: int, pushed: list[int]) -> None:
            n = len(pushed)
            pushed.append(n)
            if n == count:
                appsrc.emit("end-of-stream")
                return
            buffer = gst.Buffer.new_allocate(None, 16, None)
            buffer.pts = n * 10_000_000
            if n % 2 == 0:
                buffer.add_reference_timestamp_meta(unix, wall_ns() - 5_000_000, gst.CLOCK_TIME_NONE)
            appsrc.emit("push-buffer", buffer)

        graph.pipeline.get_by_name("feed").connect("need-data", need_data, [])

    source = play("appsrc name=feed format=time ! fakesink name=end", "in=end.sink", setup=feed)
    found = to_the_end(source)
    assert len(at(found, "in")) == count
    assert at(found, "capture")[0] == 0
    seen = moments(found, "in")
    assert all(seen[pts] - ts_ns >= 5_000_000 - UNC_NS for pts, ts_ns in moments(found, "capture").items())


def test_probes_leave_buffers_writable_and_their_count_alone(play: Play) -> None:
    """A probe that held a buffer would make every element behind it copy the frame."""
    counts: list[int] = []

    def look(graph: Graph) -> None:
        library = native.Library()

        def on_buffer(pad: int, info: int) -> int:
            counts.append(native.MiniObject.from_address(native.ProbeInfo.from_address(info).data).refcount)
            return native.PROBE_OK

        function = native.ProbeFunction(on_buffer)
        kept.append(function)
        library.gst_pad_add_probe(
            hash(graph.pipeline.get_by_name("end").get_static_pad("sink")), native.BUFFER, function, None, None
        )

    kept: list[Any] = []
    to_the_end(play("videotestsrc num-buffers=10 ! fakesink name=end", "a=end.sink", setup=look))
    assert counts == [1] * 10


def test_structures_are_those_of_the_library(gst: Any) -> None:
    buffer = gst.Buffer.new_allocate(None, 16, None)
    buffer.pts = 123_456_789
    buffer.set_flags(gst.BufferFlags.HEADER)
    ours = native.Buffer.from_address(hash(buffer))
    assert ours.pts == 123_456_789
    assert ours.flags & native.FLAG_HEADER
    event = gst.Event.new_flush_stop(True)
    assert native.Event.from_address(hash(event)).type == int(gst.EventType.FLUSH_STOP)
    assert (int(gst.PadProbeType.BUFFER), int(gst.PadProbeType.BUFFER_LIST)) == (native.BUFFER, native.BUFFER_LIST)
    assert int(gst.PadProbeType.EVENT_DOWNSTREAM) == native.EVENT_DOWNSTREAM
    assert int(gst.PadProbeType.EVENT_FLUSH) == native.EVENT_FLUSH
    assert int(gst.BufferFlags.HEADER) == native.FLAG_HEADER
    assert int(gst.PadProbeReturn.OK) == native.PROBE_OK
    assert int(gst.Format.TIME) == native.FORMAT_TIME
    assert ctypes.sizeof(native.MiniObject) == gst.MiniObject.__info__.get_size()


def test_closed_source_has_let_go_of_its_pipeline(play: Play, gst: Any) -> None:
    graphs: list[Graph] = []
    source = play("videotestsrc is-live=true ! fakesink name=end", "a=end.sink", setup=graphs.append)
    until(source, lambda found: len(at(found, "a")) > 2)
    assert source.close()
    assert graphs[0].pipeline.get_state(0)[1] == gst.State.NULL
