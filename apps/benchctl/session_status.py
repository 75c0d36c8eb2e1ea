"""How a session fares at this moment: its streams, muxd, the last minute's figures, what retention does next."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from benchctl.mux_state import FILE, MuxState, read_mux_state
from benchctl.sessions import state_of
from benchctl.sink_status import SinkStatus, sink_statuses
from benchctl.stream_status import NS, StreamStatus, stream_status
from benchctl.summary import Summary, summarise
from benchctl.vm_status import VmStatistics, vm_statistics
from benchlab import clock
from benchlab.event import Aligned
from benchlab.files import FileLock
from benchlab.log.file_end import last_rows, size_of
from benchlab.query.aligned import LATENCY_FILE
from benchlab.session import Session
from benchlab.session_folder import timeline_ns

WINDOW_NS = 60_000_000_000
FIGURES_BYTES = 4 * 1024 * 1024


class OutputStatus(msgspec.Struct):
    """One file that muxd writes: how long it is, and up to where it is vouched for."""

    file: str
    bytes: int
    vouched_bytes: int


class MuxStatus(msgspec.Struct):
    """muxd on this session; ``problem`` says why its checkpoint cannot be read."""

    pid: int | None
    checkpoint_age_s: float | None = None
    generation: int | None = None
    rebuilding: bool = False
    final: bool = False
    pairs: list[tuple[str, str]] = []
    outputs: list[OutputStatus] = []
    problem: str | None = None


class Recent(msgspec.Struct):
    """The figures of the last ``window_s`` seconds up to now, of a closed session up to its last row.

    ``covered_s``: how far back the rows go that were read; with very many pairs that is less.
    """

    window_s: float
    covered_s: float
    last_age_s: float
    summary: Summary


class SessionStatus(msgspec.Struct):
    """A session and everything that works on it."""

    name: str
    folder: str
    state: str
    pinned: bool
    age_s: float
    simulated: bool
    streams: list[StreamStatus]
    muxd: MuxStatus
    recent: Recent | None
    sinks: list[SinkStatus]
    vmstatd: VmStatistics | None = None


def session_status(session: Session, wanted_sinks: Collection[str] = ()) -> SessionStatus:
    """Return the status of a session, read from the ends of its files. Raises Fault (IO), OSError."""

    def present() -> int:
        return timeline_ns(session.info)

    muxd, checkpoint = mux_status(session)
    taken = {name: stream.offset for name, stream in checkpoint.streams.items()}
    streams = [
        stream_status(path, session.dir / "state" / f"{path.stem}.lock", present, taken.get(path.name))
        for path in sorted((session.dir / "raw").glob("*.jsonl"))
    ]
    return SessionStatus(
        name=session.name,
        folder=str(session.dir),
        state=state_of(session),
        pinned=session.info.pinned,
        age_s=(clock.wall_ns() - session.born_ns) / NS,
        simulated=any(stream.simulated for stream in streams),
        streams=streams,
        muxd=muxd,
        recent=_recent(session, present),
        sinks=sink_statuses(session, checkpoint, wanted_sinks),
        vmstatd=vm_statistics(session.dir / "raw", present),
    )


def mux_pid(session: Session) -> int | None:
    """Return the pid of the muxd that works on a session, 0 if it cannot be told, None if there is none."""
    return FileLock(session.dir / "state" / "mux.lock", "").holder


def mux_status(session: Session) -> tuple[MuxStatus, MuxState]:
    """Return what muxd's lock and checkpoint say. Raises OSError."""
    state_dir = session.dir / "state"
    status = MuxStatus(mux_pid(session))
    try:
        checkpoint = read_mux_state(state_dir)
    except ValueError as error:
        status.problem = f"{state_dir / FILE} cannot be read: {error}"
        return status, MuxState()
    if checkpoint is None:
        return status, MuxState()
    status.checkpoint_age_s = _age_s(state_dir / FILE)
    status.generation, status.rebuilding = checkpoint.generation, checkpoint.rebuilding
    status.final, status.pairs = checkpoint.final, checkpoint.settings.pairs
    status.outputs = [
        OutputStatus(name, size_of(session.dir / (name if "/" in name else f"aligned/{name}")), vouched)
        for name, vouched in sorted(checkpoint.outputs.items())
    ]
    return status, checkpoint


def _age_s(path: Path) -> float | None:
    try:
        return (clock.wall_ns() - path.stat().st_mtime_ns) / NS
    except FileNotFoundError:
        return None


def _recent(session: Session, present: Callable[[], int]) -> Recent | None:
    """Return the last minute's figures, None if there is no row in it. Raises Fault (IO)."""
    rows = last_rows(session.dir / "aligned" / LATENCY_FILE, Aligned, FIGURES_BYTES)
    if not rows:
        return None
    now_ns, last_ns = present(), max(row.ts_aligned_ns for row in rows)
    until_ns = now_ns if state_of(session) == "open" else last_ns
    from_ns = until_ns - WINDOW_NS
    rows = [row for row in rows if row.ts_aligned_ns >= from_ns]
    if not rows:
        return None
    covered_ns = until_ns - min(row.ts_aligned_ns for row in rows)
    age_s = (now_ns - last_ns) / NS
    return Recent(WINDOW_NS / NS, round(covered_ns / NS, 3), age_s, summarise(rows))
