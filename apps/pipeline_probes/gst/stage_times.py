"""From what the probes noted to the log's events: which frame reached which stage, when, and how surely."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchlab.clock import SessionClock
from benchlab.daemon import Reading
from benchlab.event import META
from pipeline_probes.gst.capture_time import CaptureTime, Reference, is_plausible
from pipeline_probes.gst.notes import FLUSH, HEADER, Note
from pipeline_probes.gst.running_time import NONE, Epochs, Segment, running_time_ns
from pipeline_probes.stage_spec import CAPTURE, StageSpec

log = logging.getLogger(__name__)

SWITCH_S = 0.0001
"""How long a thread that runs Python may keep another one waiting; the interpreter's own rule is 5 ms."""
PROBE_NS = 20_000
UNC_NS = round(SWITCH_S * 1e9) + PROBE_NS
"""A probe stamps this late at most: what it takes to enter it, and to wait for a thread that runs Python."""
MOST_CAPS = 1000


class _Stage:
    """What is known of one stage: its segment, how often it began anew, and the frame that passed last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.segment: Segment | None = None
        self.epoch = 0
        self.last: tuple[int, int] | None = None
        self.caps: str | None = None


class StageTimes:
    """Turns notes into readings; ``flow`` names the pipeline in them.

    A buffer without timestamp has no identity, and is no frame at all if it is a header. Buffers of one stage that
    follow each other with one timestamp are parts of one frame, which has reached the stage with the first.
    """

    def __init__(self, flow: str, specs: Sequence[StageSpec], clock: SessionClock, disorder_ms: int) -> None:
        self._flow = flow
        self._clock = clock
        self._stages = [_Stage(spec.name) for spec in specs]
        self._epochs = Epochs()
        self._disorder_ns = disorder_ms * 1_000_000
        self._capture: CaptureTime | None = None
        self._base_ns: int | None = None
        self._warned: set[str] = set()

    def restarted(self, capture: CaptureTime | None) -> None:
        """Begin anew: running times start from 0 again. ``capture`` is what puts capture times on the timeline."""
        epoch = max(stage.epoch for stage in self._stages)
        epoch += any(stage.last is not None for stage in self._stages)
        for stage in self._stages:
            stage.epoch, stage.segment, stage.last = epoch, None, None
        self._capture = capture

    def readings(self, notes: Iterable[Note], base_ns: int | None = None) -> list[Reading]:
        """Return the readings of some notes in order of time.

        ``base_ns`` is the pipeline's base time where the first stage's timestamps are times of capture, else None.
        """
        self._base_ns = base_ns
        to_timeline_ns = self._clock.from_monotonic_ns(0)
        found = [reading for note in notes for reading in self._of_note(note, to_timeline_ns)]
        return sorted(found, key=lambda reading: reading.ts_ns or 0)

    def _of_note(self, note: Note, to_timeline_ns: int) -> Iterator[Reading]:
        seen_ns, number, what, extra = note
        stage = self._stages[number]
        if isinstance(what, int):
            yield from self._of_buffer(stage, seen_ns + to_timeline_ns, what, extra)
        elif isinstance(what, Segment):
            stage.segment = what
        elif what is FLUSH:
            stage.epoch += 1
            stage.last = None
        elif what != stage.caps:
            stage.caps = what
            kv = {"event": "caps", "flow": self._flow, "stage": stage.name, "caps": what[:MOST_CAPS]}
            yield Reading(kv, ts_ns=seen_ns + to_timeline_ns, source=META)

    def _of_buffer(self, stage: _Stage, ts_ns: int, pts: int, extra: Reference | str | None) -> Iterator[Reading]:
        running_ns = running_time_ns(stage.segment, pts) if stage.segment is not None else None
        if running_ns is None:
            if extra != HEADER:
                stage.last = stage.last or (stage.epoch, NONE)
                yield Reading({"stage": stage.name, "flow": self._flow}, ts_ns=ts_ns, unc_ns=UNC_NS)
            return
        if stage.last == (stage.epoch, running_ns):
            return
        stage.last = (stage.epoch, running_ns)
        pts_ns = self._epochs.pts_ns(stage.epoch, running_ns, ts_ns)
        is_first = stage is self._stages[0]
        if is_first and (captured := self._captured(ts_ns, running_ns, extra)) is not None:
            kv: dict[str, Any] = {"stage": CAPTURE, "pts_ns": pts_ns, "flow": self._flow}
            yield Reading(kv, ts_ns=captured[0], unc_ns=captured[1])
        kv = {"stage": stage.name, "pts_ns": pts_ns, "flow": self._flow}
        yield Reading(kv, ts_ns=ts_ns, unc_ns=UNC_NS)

    def _captured(self, seen_ns: int, running_ns: int, reference: object) -> tuple[int, int] | None:
        """Return when a frame was captured and how surely, None where it does not say, or not credibly."""
        if self._capture is None:
            return None
        if isinstance(reference, Reference):
            capture_ns, unc_ns = self._capture.of_reference(reference)
        elif self._base_ns is not None:
            capture_ns, unc_ns = self._capture.of_running_time(self._base_ns, running_ns)
        else:
            return None
        age_ns = seen_ns - capture_ns
        if not is_plausible(capture_ns, unc_ns + UNC_NS, seen_ns):
            self._warn("capture times lie %.3f s before the first stage: not believed, not recorded", age_ns)
            return None
        if age_ns > self._disorder_ns:
            self._warn("capture times lie %.3f s before the first stage: muxd will take them as late", age_ns)
        return capture_ns, unc_ns

    def _warn(self, text: str, age_ns: int) -> None:
        if text not in self._warned:
            self._warned.add(text)
            log.warning(text, age_ns / 1e9)
