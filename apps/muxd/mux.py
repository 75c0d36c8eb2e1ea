"""One session's muxing: raw files through the engine into aligned files, checkpointed so that a kill loses nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from benchlab.errors import Exit, Fault
from benchlab.log.reader import Batch
from benchlab.session import Session
from muxd import checkpoint
from muxd.checkpoint import Checkpoint, StreamPosition
from muxd.engine import Engine, Output
from muxd.intake import Intake, RawStream
from muxd.outputs import LATE_FILE, LATENCY_FILE, SIGNALS_FILE, Outputs
from muxd.settings import NS_PER_S, Settings
from muxd.streams import Hold

CHECKPOINT_EVERY_NS = NS_PER_S

LeftOut = Mapping[str, frozenset[int]]


class Observer(Protocol):
    """Who is told what happens, as it happens."""

    def output(self, output: Output) -> None:
        """See what an advance decided."""

    def read(self, batch: Batch[Any]) -> None:
        """See what was read."""


class Mux:
    """Reads, feeds, writes and checkpoints; ``step`` never waits.

    ``caught_up``: the last step left nothing unread. ``trouble``: why the disk takes nothing more, while it is so.
    """

    def __init__(
        self,
        session: Session,
        settings: Settings,
        outputs: Outputs,
        intake: Intake,
        *,
        engine: Engine | None = None,
        generation: int = 1,
        left_out: LeftOut | None = None,
        observer: Observer | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.session = session
        self.settings = settings
        self.engine = engine or Engine(settings)
        self.outputs = outputs
        self.intake = intake
        self.generation = generation
        self.final = False
        self.caught_up = False
        self.trouble: str | None = None
        self._left_out = left_out or {}
        self._observer = observer
        self._clock = clock
        self._settled = False
        self._rest_decided = False
        self._changed = True
        self._checkpointed_ns = clock()
        self._writer: threading.Thread | None = None

    def step(self, excuse_exhausted: bool = False, on_progress: Callable[[int], None] | None = None) -> bool:
        """Take in everything that is there; tell whether anything was.

        ``excuse_exhausted``: at the end of a file nothing more is waited for, because nothing will come.
        ``on_progress`` is told the bytes taken in. Raises RawChanged, Fault.
        """
        if self._rest_decided:
            return False
        self.caught_up = False
        if self._is_stuck():
            return False  # the raw log keeps what the disk has no room for
        self.intake.look(self._clock())
        progressed = False
        while (name := self._furthest_behind()) is not None:
            batch = self.intake.streams[name].read()
            progressed = self._take(name, batch) or progressed
            self._advance(excuse_exhausted)
            if on_progress:
                on_progress(batch.end - batch.start)
            if self._is_stuck():
                break
        else:
            self.caught_up = True
        if not progressed:
            self._advance(excuse_exhausted)
        return progressed

    def settle(self, unless_waiting: bool = True) -> None:
        """Show how the session would end here, beyond what is vouched for; the next bytes decide it again."""
        if self._settled or not self.caught_up or (unless_waiting and self.waits()):
            return
        output = self.engine.copy().finish()
        self.outputs.show_tail(LATENCY_FILE, output.latency)
        self.outputs.show_tail(SIGNALS_FILE, output.signals)
        self._settled = True

    def finish(self) -> None:
        """Decide the rest of a closed session for good, and vouch for it.

        Raises Fault (IO) and OSError while the disk does not take it; it may then be tried again.
        """
        self.decide_rest()
        self.join()
        self._save(self._encoded(final=True))
        self.final = True

    def decide_rest(self) -> None:
        """Take in what the files had left open, and decide everything: nothing more will come.

        Raises Fault (IO) while the disk does not take it.
        """
        self.check_caught_up()
        if not self._rest_decided:
            self._rest_decided = True
            for name, stream in self.intake.streams.items():
                self._take(name, stream.flush())
            self._write(self.engine.finish())
        self.check_caught_up()

    def check_caught_up(self) -> None:
        """Raise Fault (IO) if the disk did not take everything that was to be written."""
        if self._is_stuck() or not self.caught_up:
            raise Fault(self.trouble or "the disk was full a moment ago", Exit.IO)

    def has_unread(self) -> bool:
        """Tell whether a raw file holds lines that were not taken in; they are taken, so go on with none of this."""
        self.intake.look(self._clock())
        return any(stream.read().rows for stream in self.intake.streams.values())

    def checkpoint(self, now: bool = False) -> None:
        """Vouch for what has been written, in the background and at most once a second unless ``now``."""
        due = self._clock() - self._checkpointed_ns >= CHECKPOINT_EVERY_NS
        busy = self._writer is not None and self._writer.is_alive()
        if now:
            self.join()
            self._save(self._encoded())
        elif self._changed and due and not busy and not self._is_stuck():
            self._checkpointed_ns = self._clock()
            self._changed = False
            self._writer = threading.Thread(target=self._try_save, args=(self._encoded(),), daemon=True)
            self._writer.start()

    def join(self) -> None:
        """Wait for a checkpoint that is being written."""
        if self._writer is not None:
            self._writer.join()

    def positions(self) -> dict[str, StreamPosition]:
        """Return how far each stream was read, by name."""
        return {name: self._position(name, stream) for name, stream in sorted(self.intake.streams.items())}

    @contextmanager
    def unobserved(self) -> Iterator[None]:
        """Let nobody see what happens inside."""
        observer, self._observer = self._observer, None
        try:
            yield
        finally:
            self._observer = observer

    def close(self) -> None:
        """Close all files."""
        self.join()
        self.intake.close()
        self.outputs.close()

    def _furthest_behind(self) -> str | None:
        """Return the stream that holds the others back, so that none is read far ahead of them."""
        unread = self.intake.unread()
        return min(unread, key=lambda name: self.engine.merger.stream(name).floor_ns) if unread else None

    def _is_stuck(self) -> bool:
        why = self.outputs.flush()
        if why:
            self.trouble = why  # until a checkpoint succeeds
        return why is not None

    def waits(self) -> bool:
        """Tell whether some stream has more to say, or had its writer alive a moment ago."""
        for name, hold in self.intake.holds(self._clock()).items():
            stopped = self.engine.merger.stream(name).stopped
            if hold == Hold.UNREAD or (hold == Hold.WAITED_FOR and not stopped):
                return True
        return False

    def newest_ns(self) -> int:
        """Return the highest time of any stream."""
        return max((stream.max_ns for stream in self.engine.merger.streams.values()), default=0)

    def _take(self, name: str, batch: Batch[Any]) -> bool:
        if not batch.rows and not batch.bad:
            return False
        if self._settled:
            self.outputs.drop_tails()
            self._settled = False
        self._changed = True
        if batch.bad:
            self.outputs.append(f"quarantine/{name}", batch.bad)
            self.engine.merger.stream(name).bad += len(batch.bad)
        entries = self.engine.feed(name, batch.rows, batch.offset_of, self._left_out.get(name, ()))
        self.outputs.append(LATE_FILE, entries)
        if self._observer:
            self._observer.read(batch)
        return True

    def _advance(self, excuse_exhausted: bool) -> None:
        holds = self.intake.holds(self._clock())
        if excuse_exhausted:
            holds = {n: hold if hold == Hold.UNREAD else Hold.EXCUSED for n, hold in holds.items()}
        for name in holds:
            self.engine.merger.stream(name)
        self._write(self.engine.advance(holds))

    def _write(self, output: Output) -> None:
        if output.latency or output.signals:
            self._changed = True
            if self._settled:
                self.outputs.drop_tails()
                self._settled = False
        self.outputs.append(LATENCY_FILE, output.latency)
        self.outputs.append(SIGNALS_FILE, output.signals)
        if self._observer:
            self._observer.output(output)

    def _encoded(self, final: bool = False) -> bytes:
        """Return the checkpoint of this very moment. Raises Fault (IO) if not everything is written."""
        if self._is_stuck():
            raise Fault(self.trouble or "", Exit.IO)
        found = Checkpoint(
            version=checkpoint.VERSION,
            generation=self.generation,
            digest=self.settings.digest(),
            outputs=self.outputs.lengths(),
            streams=self.positions(),
            settings=msgspec.to_builtins(self.settings),
            final=final or self.final,
            engine=self.engine.state(),
        )
        return msgspec.json.encode(found)

    def _position(self, name: str, stream: RawStream) -> StreamPosition:
        counted = self.engine.merger.stream(name)
        lines = counted.lines + counted.bad
        used = counted.lines - counted.late
        reader = stream.reader.state()
        return StreamPosition(reader, reader.offset, lines, used, counted.late, counted.bad)

    def _try_save(self, encoded: bytes) -> None:
        try:
            self._save(encoded)
            self.trouble = None
        except OSError as error:
            self.trouble = f"{self.session.state / checkpoint.FILE} cannot be written ({error.strerror})"
            self._changed = True

    def _save(self, encoded: bytes) -> None:
        self.intake.sync()
        self.outputs.sync()
        checkpoint.save(self.session.state, encoded)
