"""How muxing begins: go on from the checkpoint, or rebuild from the raw files what cannot be gone on from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchlab.errors import Exit, Fault
from benchlab.event import Event
from benchlab.files import make_dir
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.log.vouched import read_vouched
from benchlab.session import Session
from muxd import checkpoint
from muxd.checkpoint import Checkpoint, UnusableError
from muxd.engine import Engine
from muxd.intake import Intake
from muxd.mux import LeftOut, Mux, Observer
from muxd.outputs import ALIGNED_FILES, LATE_FILE, NEW, Outputs, discard_unfinished, in_session
from muxd.rows import LateEntry
from muxd.settings import Settings

log = logging.getLogger("muxd")

Progress = Callable[[int], None]


class Opener:
    """Opens a session's muxing. The caller holds the session's lock.

    ``on_progress`` is told the bytes taken in, unless a method is given another.
    """

    def __init__(
        self,
        session: Session,
        settings: Settings,
        patience_ns: int,
        *,
        observer: Observer | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        on_progress: Progress | None = None,
    ) -> None:
        self._session = session
        self.settings = settings
        self._patience_ns = patience_ns
        self._observer = observer
        self._clock = clock
        self.on_progress = on_progress

    def open(self) -> Mux:
        """Return the muxing where it was left, or from the first line where that is not possible.

        Raises Fault (IO): a rebuild is needed, but the raw files do not reach back to their first line.
        """
        try:
            found = checkpoint.load(self._session.state)
            if found is None and not self._has_output():
                return self._begun()
            if found is None:
                raise UnusableError(f"{self._session.state / checkpoint.FILE} is missing")
            return self._resumed(found)
        except UnusableError as why:
            log.warning("%s: aligned/ is rebuilt from raw/", why)
            return self.rebuild(str(why))

    def rebuild(self, reason: str, on_progress: Progress | None = None) -> Mux:
        """Write new aligned files from the raw ones and swap them in. Raises Fault (IO), RawChanged."""
        self._check_complete(reason)
        session = self._session
        old = read_vouched(session.state)
        entries = late_entries(session)
        outputs = Outputs(in_session(session), {}, NEW)
        outputs.append(LATE_FILE, entries)
        kept = {LATE_FILE: outputs.lengths()[LATE_FILE]}
        # Readers tell generations apart by the number: one that cannot be read was lower than the seconds of now.
        generation = 1 + old.generation if old else int(time.time())
        mux = self._mux(self._intake(), outputs, generation=generation, left_out=offsets_by_stream(entries))
        closed = is_closed(session)
        with mux.unobserved():  # what is written again was counted before
            catch_up(mux, closed, on_progress or self.on_progress)
            if closed:
                mux.decide_rest()
        outputs.sync()
        self._swap_in(mux, {**dict.fromkeys(old.outputs if old else (), 0), **kept})
        if closed:
            mux.finish()
        else:
            mux.checkpoint(now=True)
        return mux

    def _swap_in(self, mux: Mux, meanwhile: dict[str, int]) -> None:
        """Replace the aligned files by new ones; should this be cut short, ``meanwhile`` is what can be vouched for."""
        marker = Checkpoint(checkpoint.VERSION, mux.generation, "", meanwhile, mux.positions(), {}, rebuilding=True)
        checkpoint.save(self._session.state, msgspec.json.encode(marker))
        mux.outputs.swap_in()
        for name in set(meanwhile) - set(mux.outputs.lengths()):
            in_session(self._session)(name).unlink(missing_ok=True)

    def replay(self, outputs: Outputs, ignore_late: bool, on_progress: Progress | None = None) -> Mux:
        """Write what the raw files give into other files; nothing of the session is touched. Raises RawChanged."""
        entries = [] if ignore_late else late_entries(self._session)
        outputs.append(LATE_FILE, entries)
        mux = self._mux(self._intake(), outputs, left_out=offsets_by_stream(entries))
        catch_up(mux, True, on_progress)
        mux.decide_rest()
        return mux

    def _begun(self) -> Mux:
        """Begin, and say so at once: who finds aligned files without a checkpoint has to rebuild."""
        mux = self._mux(self._intake(), Outputs(in_session(self._session), {}))
        mux.checkpoint(now=True)
        return mux

    def _resumed(self, found: Checkpoint) -> Mux:
        assert found.engine is not None
        if found.digest != self.settings.digest():
            raise UnusableError("the pairs or settings are others than before")
        if found.final:
            self._forget_trimmed(found)
        self._check_outputs(found)
        intake = self._intake()
        now_ns = self._clock()
        try:
            for name, position in found.streams.items():
                intake.restore(name, position.reader, now_ns)
        except RawChanged as change:
            raise UnusableError(change.message) from change
        outputs = Outputs(in_session(self._session), found.outputs)
        engine = Engine.restored(self.settings, found.engine)
        mux = self._mux(intake, outputs, engine=engine, generation=found.generation)
        mux.final = found.final
        discard_unfinished(self._session)
        if found.final and mux.has_unread():
            mux.close()
            raise UnusableError("the session was closed and final, but its raw files grew")
        if found.final:
            log.info("session %s is closed and final: nothing to do", self._session.name)
        return mux

    def _forget_trimmed(self, found: Checkpoint) -> None:
        """Expect no raw stream, and nothing in quarantine, that retention has deleted: a final session needs none."""
        raw, locate = self._session.raw, in_session(self._session)
        trimmed = [name for name in found.streams if not (raw / name).exists()]
        for name in trimmed:
            del found.streams[name]
            if not locate(quarantine := f"quarantine/{name}").exists():
                found.outputs.pop(quarantine, None)

    def _check_outputs(self, found: Checkpoint) -> None:
        locate = in_session(self._session)
        for name, length in found.outputs.items():
            path = locate(name)
            size = path.stat().st_size if path.exists() else 0
            if size < length:
                raise UnusableError(f"{path} has {size} bytes, expected at least the {length} vouched for")

    def _check_complete(self, reason: str) -> None:
        """Refuse to replace aligned files by less than they hold."""
        if not self._has_output():
            return
        raw = self._session.raw
        paths = sorted(raw.glob("*.jsonl"))
        missing = [f"{p.name} does not begin with its first line" for p in paths if not begins(p)]
        known = [raw / name for name in checkpoint.streams_read(self._session.state)]
        missing += [f"nothing is left of {p.name}" for p in known if not (p.exists() and p.stat().st_size)]
        if not paths and not known:
            missing = ["it holds no stream"]
        if missing:
            raise Fault(
                f"{reason}: aligned/ would have to be rebuilt, but {raw} is incomplete ({'; '.join(missing)}); "
                "aligned/ is left as it is: restore the raw files, or move aligned/ away to begin with what is there",
                Exit.IO,
            )

    def _has_output(self) -> bool:
        locate = in_session(self._session)
        return any(locate(n).exists() and locate(n).stat().st_size > 0 for n in ALIGNED_FILES)

    def _intake(self) -> Intake:
        try:
            make_dir(self._session.raw)
        except OSError as error:
            raise Fault(f"{self._session.raw} cannot be made: {error.strerror}", Exit.IO) from error
        return Intake(self._session.raw, self._patience_ns)

    def _mux(
        self,
        intake: Intake,
        outputs: Outputs,
        *,
        engine: Engine | None = None,
        generation: int = 1,
        left_out: LeftOut | None = None,
    ) -> Mux:
        return Mux(
            self._session,
            self.settings,
            outputs,
            intake,
            engine=engine,
            generation=generation,
            left_out=left_out,
            observer=self._observer,
            clock=self._clock,
        )


def is_closed(session: Session) -> bool:
    """Tell whether nothing more will be written; a folder with only raw/ in it is closed too."""
    return session.is_bare or session.info.closed


def is_finished(session: Session) -> bool:
    """Tell whether a session is closed and some muxd has decided all of it."""
    vouched = read_vouched(session.state)
    return is_closed(session) and vouched is not None and vouched.final


def catch_up(mux: Mux, excuse_exhausted: bool, on_progress: Progress | None = None) -> None:
    """Take in everything that is there. Raises Fault (IO) if the disk is full before."""
    while mux.step(excuse_exhausted, on_progress):
        pass
    mux.check_caught_up()


def late_entries(session: Session) -> list[LateEntry]:
    """Return the lines that earlier runs found behind their frontier, as far as that is vouched for."""
    path = in_session(session)(LATE_FILE)
    vouched = read_vouched(session.state)
    limit = None if vouched is None else vouched.outputs.get(LATE_FILE, 0)
    entries: list[LateEntry] = []
    with StreamReader(path, LateEntry, limit=limit) as reader:
        while batch := reader.read():
            entries += batch.rows
            if batch.at_end:
                break
    return entries


def offsets_by_stream(entries: list[LateEntry]) -> LeftOut:
    """Return the offsets of the entries' lines by stream."""
    offsets: dict[str, set[int]] = {}
    for entry in entries:
        offsets.setdefault(entry.stream, set()).add(entry.offset)
    return {stream: frozenset(found) for stream, found in offsets.items()}


def begins(path: Path) -> bool:
    """Tell whether a stream still has its first line; one without sequence numbers cannot tell and is trusted."""
    with StreamReader(path, Event, guard_time=False) as reader:
        batch = reader.read()
    if not batch.rows:
        return True
    bad_before = sum(bad.offset < batch.offset_of(0) for bad in batch.bad)
    return (batch.rows[0].seq or 0) <= bad_before
