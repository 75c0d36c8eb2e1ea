"""A pipeline as the command line describes it, with a probe on the pad of every stage."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from benchlab.errors import Exit, Fault
from pipeline_probes.gst import native
from pipeline_probes.gst.capture_time import CAPTURE_SOURCES, References
from pipeline_probes.gst.notes import MOST_NOTES, Note
from pipeline_probes.gst.tap import Tap
from pipeline_probes.stage_spec import StageSpec

log = logging.getLogger(__name__)

DRAIN_S = 0.3
_NUMBER = re.compile(r"%[sdu]")


class Graph:
    """A parsed pipeline and its taps. It is built once: played, stopped, and played again.

    Raises Fault (USAGE) for a pipeline that GStreamer cannot parse, and for a stage on an element or a pad that
    the pipeline does not have and never will.
    """

    def __init__(
        self, gst: Any, text: str, stages: Sequence[StageSpec], capture_sources: Collection[str] = CAPTURE_SOURCES
    ) -> None:
        self.gst = gst
        self.text = text
        self.notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self.pipeline = _parsed(gst, text)
        self._capture_sources = capture_sources
        library = native.Library()
        references = References(library)
        self.taps = [Tap(n, spec, gst, library, self.notes, references) for n, spec in enumerate(stages)]
        for tap in self.taps:
            self._place(tap)

    def elements(self) -> Iterator[Any]:
        """Yield every element, those within bins too."""
        found = self.pipeline.iterate_recurse()
        while True:
            result, element = found.next()
            if result == self.gst.IteratorResult.RESYNC:
                found.resync()
            elif result != self.gst.IteratorResult.OK:
                return
            else:
                yield element

    def brings_capture_times(self) -> bool:
        """Return whether an element of the pipeline is known to say when its frames were captured."""
        return any(self._captures(element) or _adds_references(element) for element in self.elements())

    def first_stage_is_captured(self) -> bool:
        """Return whether the first stage's timestamps are those of a capture source upstream of it."""
        pad = self.taps[0].pad
        return pad is not None and any(self._captures(element) for element in _upstream(pad))

    def play(self) -> bool:
        """Start; return whether that began well. What went wrong is on the bus."""
        state = self.pipeline.set_state(self.gst.State.PLAYING)
        return bool(state != self.gst.StateChangeReturn.FAILURE)

    def halt(self) -> None:
        """Stop at once and let go of the devices."""
        self.pipeline.set_state(self.gst.State.NULL)

    def finish(self, patience_s: float) -> bool:
        """Bring a playing pipeline to its end, so that the files it writes are whole, and stop it.

        Return whether that was done in time. What GStreamer does not return from is left to a thread of its own.
        """
        finishing = threading.Thread(target=self._finish, daemon=True)
        finishing.start()
        finishing.join(patience_s)
        return not finishing.is_alive()

    def _finish(self) -> None:
        gst = self.gst
        _, state, pending = self.pipeline.get_state(0)
        # An end sent while it is still becoming PLAYING deadlocks in GstBaseSink, which waits for just that.
        if state == gst.State.PLAYING and pending == gst.State.VOID_PENDING:
            self.pipeline.send_event(gst.Event.new_eos())
            kinds = gst.MessageType.EOS | gst.MessageType.ERROR
            self.pipeline.get_bus().timed_pop_filtered(round(DRAIN_S * gst.SECOND), kinds)
        self.halt()

    def _captures(self, element: Any) -> bool:
        factory = element.get_factory()
        return factory is not None and factory.get_name() in self._capture_sources

    def _place(self, tap: Tap) -> None:
        """Attach a tap to its pad, now or when the element adds it."""
        spec = tap.spec
        element = self.pipeline.get_by_name(spec.element)
        if element is None:
            names = ", ".join(sorted(one.get_name() for one in self.elements()))
            raise Fault(f"--stage {spec}: found no element {spec.element}, expected one of {names}", Exit.USAGE)
        if (pad := _pad_of(element, spec)) is not None:
            tap.attach(pad)
        elif _will_have(self.gst, element, spec.pad):
            element.connect("pad-added", _attach_to_added, tap)
        else:
            raise Fault(
                f"--stage {spec}: found no pad {spec.pad} on {spec.element}, expected one of {_pads(element)}",
                Exit.USAGE,
            )


def _parsed(gst: Any, text: str) -> Any:
    from gi.repository import GLib

    try:
        found = gst.parse_launch_full(text, None, gst.ParseFlags.FATAL_ERRORS)
    except GLib.Error as error:
        hint = "" if "no element" not in error.message else "; gst-inspect-1.0 lists what is installed"
        raise Fault(f"--pipeline: {error.message}{hint}, expected what gst-launch-1.0 accepts", Exit.USAGE) from error
    if isinstance(found, gst.Pipeline):
        return found
    whole = gst.Pipeline.new(None)
    whole.add(found)
    return whole


def _named_so(pad_name: str, wanted: str) -> bool:
    """Return whether a pad is the wanted one: ``src`` also means ``src_0`` where pads are numbered."""
    return re.fullmatch(rf"{re.escape(wanted)}(_\d+)?", pad_name) is not None


def _pad_of(element: Any, spec: StageSpec) -> Any:
    if (exact := element.get_static_pad(spec.pad)) is not None:
        return exact
    found = [pad for pad in element.pads if _named_so(pad.get_name(), spec.pad)]
    if len(found) > 1:
        names = ", ".join(sorted(pad.get_name() for pad in found))
        raise Fault(f"--stage {spec}: found several such pads, expected one of {names}", Exit.USAGE)
    return found[0] if found else None


def _will_have(gst: Any, element: Any, wanted: str) -> bool:
    """Return whether an element may add such a pad once it knows its stream."""
    for template in element.get_pad_template_list():
        if template.presence != gst.PadPresence.SOMETIMES:
            continue
        pattern = _NUMBER.sub(r"\\w+", re.escape(template.name_template).replace(r"\%", "%"))
        if re.fullmatch(pattern, wanted) or template.name_template.startswith(f"{wanted}_%"):
            return True
    return False


def _pads(element: Any) -> str:
    there = [pad.get_name() for pad in element.pads]
    return ", ".join(sorted(there)) or "none: it has no pads yet"


def _attach_to_added(element: Any, pad: Any, tap: Tap) -> None:
    """Attach a tap to the first pad of its name; when the pipeline is played again, that is another pad."""
    is_taken = tap.pad is not None and tap.pad.get_parent() is not None
    if _named_so(pad.get_name(), tap.spec.pad) and not is_taken:
        tap.attach(pad)


def _adds_references(element: Any) -> bool:
    name = "add-reference-timestamp-meta"
    return element.find_property(name) is not None and bool(element.get_property(name))


def _upstream(pad: Any) -> Iterator[Any]:
    """Yield the elements that a pad's buffers come from, the pad's own first."""
    waiting = [pad.get_parent_element()]
    seen: set[Any] = set()
    while waiting:
        element = waiting.pop()
        if element is None or element in seen:
            continue
        seen.add(element)
        yield element
        peers = [sink.get_peer() for sink in element.sinkpads]
        waiting += [peer.get_parent_element() for peer in peers if peer is not None]
