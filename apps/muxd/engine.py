"""The engine: raw events in, aligned rows out. It knows no files, clocks or threads.

Live, restart and replay are this same code; what differs is only who feeds it and what holds the time back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from benchlab.event import Event
from muxd.annotate import Annotator, AnnotatorState, Row
from muxd.merge import Merger, MergerState, OffsetOf, Released
from muxd.pairing import Decision, Pairer, PairerState
from muxd.rows import Completed, LateEntry, SignalRow
from muxd.settings import Settings
from muxd.signals import SignalGrid, SignalState
from muxd.streams import Hold
from muxd.vm_energy import VmEnergy, VmEnergyState


class Output(msgspec.Struct):
    """What an advance decided: rows to write, and the pairs just completed, whose power may still be awaited."""

    latency: list[Row]
    signals: list[SignalRow]
    completed: list[Completed]


class EngineState(msgspec.Struct):
    """Everything that makes an engine go on as if it had never stopped."""

    merger: MergerState
    pairer: PairerState
    annotator: AnnotatorState
    signals: SignalState
    vm_energy: VmEnergyState = msgspec.field(default_factory=VmEnergyState)


class Engine:
    """Merge, pair, annotate, grid."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.annotator = Annotator(settings)
        self.merger = Merger({stage for pair in settings.pairs for stage in pair}, self.annotator.reference.wants)
        self._pairer = Pairer(settings)
        self._vm_energy = VmEnergy(settings.max_gap_ns)
        self._signals = SignalGrid(settings, self._vm_energy)
        self._completed = [0] * len(settings.pairs)

    def feed(
        self, stream: str, rows: Sequence[Event], offset_of: OffsetOf, left_out: Collection[int] = ()
    ) -> list[LateEntry]:
        """Take the next good lines of a stream; see ``Merger.feed``."""
        return self.merger.feed(stream, rows, offset_of, left_out)

    def advance(self, holds: Mapping[str, Hold]) -> Output:
        """Decide what can be decided, given which streams may still have something to say."""
        released = self.merger.advance(holds)
        decisions: list[Decision] = []
        self._pairer.process(released.stages, decisions)
        self._pairer.pass_time(self.merger.frontier.stages_ns, decisions)
        return self._annotate(released, decisions, self.merger.frontier.power_ns)

    def finish(self) -> Output:
        """Decide everything: the session is closed, or this engine is a copy that shows how it would end here."""
        released, end_ns = self.merger.release_rest()
        decisions: list[Decision] = []
        self._pairer.process(released.stages, decisions)
        self._pairer.close(end_ns, decisions)
        return self._annotate(released, decisions, end_ns, final=True)

    def pairs_completed(self) -> dict[tuple[str, str], int]:
        """Return how many frames were paired since this engine began."""
        return dict(zip(self.settings.pairs, self._completed, strict=True))

    def state(self) -> EngineState:
        """Return what ``restored`` needs; it shares parts with this engine, so encode it before going on."""
        return EngineState(
            self.merger.state(),
            self._pairer.state(),
            self.annotator.state(),
            self._signals.state(),
            self._vm_energy.state(),
        )

    def copy(self) -> Engine:
        """Return an engine of its own that stands where this one stands."""
        # As a checkpoint would: msgpack is no faster, and has no integers beyond 64 bits.
        state = msgspec.json.decode(msgspec.json.encode(self.state()), type=EngineState)
        return Engine.restored(self.settings, state)

    @classmethod
    def restored(cls, settings: Settings, state: EngineState) -> Engine:
        """Return an engine that goes on from a state."""
        engine = cls(settings)
        engine.merger.restore(state.merger)
        engine._pairer.restore(state.pairer)
        engine.annotator.restore(state.annotator)
        engine._signals.restore(state.signals)
        engine._vm_energy.restore(state.vm_energy)
        return engine

    def _annotate(
        self, released: Released, decisions: list[Decision], power_known_ns: int, final: bool = False
    ) -> Output:
        output = Output([], [], [d for d in decisions if isinstance(d, Completed)])
        for completed in output.completed:
            self._completed[completed.pair] += 1
        self.annotator.add(released.power)
        self.annotator.queue.extend(decisions)
        self.annotator.resolve(power_known_ns, output.latency, final)
        self._signals.process(released.signals, output.signals)
        self._signals.pass_time(self.merger.frontier.signals_ns, output.signals)
        if final:
            self._vm_energy.finish(power_known_ns, output.signals)
        return output
