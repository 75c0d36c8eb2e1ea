"""A GStreamer pipeline as a source: run, watched, and run again when it failed."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns, sleep

from benchlab.clock import SessionClock
from benchlab.daemon import Absent, Ended, Reading, Transient
from benchlab.event import META, PIPELINE, Scalar
from pipeline_probes.gst.bus import read_bus
from pipeline_probes.gst.capture_time import CaptureTime
from pipeline_probes.gst.drops import Drops
from pipeline_probes.gst.graph import Graph
from pipeline_probes.gst.notes import MOST_NOTES, Note
from pipeline_probes.gst.stage_times import SWITCH_S, StageTimes

NS = 1_000_000_000
POLL_S = 0.010
"""Events are written together with those of the same 10 ms: half the disorder that the stream declares."""
WAIT_S = 0.25
START_S = 0.8
"""How long the first sample waits for a buffer, or for an error: until then it is not known whether it runs."""
LOOK_NS = 5 * NS
"""How often a buffer is searched for a reference timestamp, where the one before had none."""
FINISH_S = 1.0


class PipelineSource:
    """Reports each frame at each stage of a pipeline, the capture of it, drops and changes of caps.

    Raises Absent while the device, or a file, that the pipeline reads is not there or must not be read, Transient
    when the pipeline failed, and Ended when it came to its end. After a failure it is played anew.
    """

    name = PIPELINE
    stamping = "event"
    waits = True

    def __init__(
        self,
        graph: Graph,
        flow: str,
        clock: SessionClock,
        disorder_ms: int,
        device: Path | None = None,
        access: Callable[[Path, int], bool] = os.access,
        root: Path = Path("/"),
    ) -> None:
        self.dev = str(device) if device is not None else None
        self._graph = graph
        self._clock = clock
        self._device = device
        self._access = access
        self._root = root
        self._times = StageTimes(flow, [tap.spec for tap in graph.taps], clock, disorder_ms)
        self._drops = Drops(flow)
        self._drops.watch(graph)
        self._is_playing = self._has_buffers = False
        self._captured: bool | None = None
        self._looked_ns = 0
        self._outcome: Exception | None = None

    @property
    def identity(self) -> dict[str, Scalar]:
        """What is recorded: the pipeline, GStreamer's version, and the device's name where it has one."""
        found: dict[str, Scalar] = {"pipeline": self._graph.text, "gstreamer": self._graph.gst.version_string()}
        if self._device is not None and (card := _card(self._device, self._root)):
            found["card"] = card
        return found

    def sample(self) -> list[Reading]:
        """Wait for buffers and return what they mean. Raises Absent, Transient, Ended."""
        if self._outcome is not None:
            self._give_up()
        if not self._is_playing:
            self._begin()
        self._wait(WAIT_S if self._has_buffers else START_S)
        readings = self._taken()
        if self._outcome is not None and not readings:
            self._give_up()
        return readings

    def close(self) -> bool:
        """Stop the pipeline, its end drained as far as there is time; return whether it let go."""
        return self._graph.finish(FINISH_S)

    def _begin(self) -> None:
        self._look_for_device()
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()  # what is there by now stays: a collection in a probe must not go through it
        self._graph.notes.clear()
        self._has_buffers, self._captured = False, None
        self._times.restarted(CaptureTime(self._clock, self._pipeline_ns))
        self._drops.restarted()
        self._is_playing = True
        if not self._graph.play():
            self._wait(START_S)
            self._outcome = self._outcome or Transient("the pipeline did not start, and did not say why")
            self._give_up()

    def _look_for_device(self) -> None:
        device = self._device
        if device is None:
            return
        if not device.exists():
            raise Absent(f"no {device}", "connect the device; ls /dev/video* shows what there is")
        if not self._access(device, os.R_OK | os.W_OK):
            raise Absent(f"{device}: permission denied", "sudo usermod -aG video $USER, then log in anew")

    def _wait(self, patience_s: float) -> None:
        """Wait for buffers, for the pipeline's end, or until the time is over."""
        give_up_ns = monotonic_ns() + round(patience_s * NS)
        while True:
            sleep(POLL_S)  # a probe that woke this thread for each buffer would cost several times as much
            if self._outcome is None:
                self._outcome = read_bus(self._graph, self._drops, self._device)
            if self._graph.notes or self._outcome is not None or monotonic_ns() >= give_up_ns:
                return

    def _taken(self) -> list[Reading]:
        """Return the readings of everything that was noted so far."""
        notes = self._graph.notes
        overflown = len(notes) >= MOST_NOTES
        batch: list[Note] = [notes.popleft() for _ in range(len(notes))]
        if self._captured is None and self._graph.taps[0].pad is not None:
            self._captured = self._graph.first_stage_is_captured()
        if monotonic_ns() - self._looked_ns > LOOK_NS:
            self._looked_ns = monotonic_ns()
            self._graph.taps[0].lookout.is_on = True
        base_ns = self._graph.pipeline.get_base_time() if self._captured else None
        readings = self._times.readings(batch, base_ns)
        self._has_buffers = self._has_buffers or any(reading.source != META for reading in readings)
        now_ns = self._clock.now_ns()
        if overflown:
            kv = {"event": "gap", "n": None, "why": "overflow"}
            readings.insert(0, Reading(kv, ts_ns=now_ns, source=META))  # type: ignore[arg-type]
        return readings + self._drops.readings(now_ns, at_once=self._outcome is not None)

    def _give_up(self) -> None:
        """Stop the pipeline and raise how it ended."""
        outcome, self._outcome = self._outcome, None
        self._is_playing = False
        self._graph.halt()
        flush = self._graph.pipeline.get_bus()
        flush.set_flushing(True)
        flush.set_flushing(False)
        raise outcome or Ended("the pipeline was stopped")

    def _pipeline_ns(self) -> int:
        clock = self._graph.pipeline.get_clock()
        return int(clock.get_time()) if clock is not None else monotonic_ns()


def _card(device: Path, root: Path) -> str:
    """Return what the driver calls the device. Source: V4L2, sysfs class video4linux."""
    try:
        return (root / "sys/class/video4linux" / device.name / "name").read_text(errors="replace").strip()
    except OSError:
        return ""
