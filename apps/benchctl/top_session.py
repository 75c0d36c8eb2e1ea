"""A whole session as ``benchctl top`` shows it, brought up to date each second by what is new in its files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from benchctl.mux_state import MuxState
from benchctl.session_status import FIGURES_BYTES, WINDOW_NS, MuxStatus, mux_status
from benchctl.sessions import state_of
from benchctl.sink_status import SinkStatus, sink_statuses
from benchctl.stream_status import NS
from benchctl.summary import PairSummary, summarise
from benchctl.tail import Follower
from benchctl.top_stream import SourceRow, StreamFollower
from benchlab import clock
from benchlab.config_schema import Config
from benchlab.event import Aligned
from benchlab.log.file_end import size_of
from benchlab.query.aligned import SIGNALS_FILE
from benchlab.session import Session
from benchlab.session_folder import timeline_ns

VM_ENERGY = "metric.vm_energy"
ROW_BYTES = 512  # as tail guesses
MOST_ROWS = 20_000
"""With more frames a minute than this, the figures are of less than a minute."""


class VmRow(msgspec.Struct):
    """One virtual machine; what is not known is None. ``energy_j`` is that of the last minute.

    ``state`` is vmstatd's word, ``stopped`` or ``dead`` if nobody records the machine any more.
    """

    uuid: str
    name: str
    state: str
    age_s: float
    cpu_pct: float | None = None
    memory_bytes: int | None = None
    power_w: float | None = None
    energy_j: float | None = None
    simulated: bool = False


class MuxRow(msgspec.Struct):
    """muxd and how far it is behind; what is not known is None."""

    pid: int | None
    unread_bytes: int
    checkpoint_age_s: float | None = None
    last_pair_age_s: float | None = None
    late: int = 0
    bad: int = 0
    rebuilding: bool = False
    problem: str | None = None


class Snapshot(msgspec.Struct):
    """What one screen shows, and ``--json`` prints; ``session`` is None where there is none yet.

    ``pairs`` and ``energy_j`` are of the last ``window_s`` seconds, of a closed session up to its last row;
    ``covered_s``: how far back the rows go that are kept; with very many frames that is less.
    """

    time_ns: int
    data_root: str
    session: str | None = None
    state: str = ""
    age_s: float | None = None
    simulated: bool = False
    window_s: float = WINDOW_NS / NS
    covered_s: float | None = None
    energy_j: float | None = None
    powered_s: float = 0.0
    power_sources: list[str] = []
    pairs: list[PairSummary] = []
    sources: list[SourceRow] = []
    vms: list[VmRow] = []
    muxd: MuxRow | None = None
    sinks: list[SinkStatus] = []


class SessionFollower:
    """Follows all files of one session. Methods raise Fault (IO), OSError."""

    def __init__(self, session: Session, config: Config) -> None:
        self.session = session
        self._cuts = [member.partition(":") for cut in config.mux.power_sources for member in cut]
        self._sinks = config.sinks.enabled
        self._streams: dict[Path, StreamFollower] = {}
        self._latency = Follower(session, None, tell=lambda text: None)
        self._rows: deque[Aligned] | None = None
        self._signals = Follower(session, None, SIGNALS_FILE, tell=lambda text: None)
        self._vm_energy: deque[Aligned] | None = None

    def close(self) -> None:
        """Give the files back."""
        for stream in self._streams.values():
            stream.close()

    def snapshot(self, data_root: Path) -> Snapshot:
        """Take in what is new and return how it all stands now."""
        self._poll()
        now_ns = timeline_ns(self.session.info)
        status, checkpoint = mux_status(self.session)
        rows = self._latency_rows()
        last_ns = max((row.ts_aligned_ns for row in rows), default=None)
        until_ns = now_ns if last_ns is None or state_of(self.session) == "open" else last_ns
        recent = _recent(rows, until_ns)
        summary = summarise(recent)
        sources = [row for stream in self._streams.values() for row in stream.rows(now_ns)]
        return Snapshot(
            time_ns=clock.wall_ns(),
            data_root=str(data_root),
            session=self.session.name,
            state=state_of(self.session),
            age_s=(clock.wall_ns() - self.session.born_ns) / NS,
            simulated=summary.simulated or any(source.simulated for source in sources),
            covered_s=(until_ns - min(row.ts_aligned_ns for row in recent)) / NS if recent else None,
            energy_j=summary.energy_j,
            powered_s=summary.powered_s,
            power_sources=summary.power_sources,
            pairs=summary.pairs,
            sources=sources,
            vms=list(self._machines(now_ns)),
            muxd=self._muxd(status, checkpoint, None if last_ns is None else (now_ns - last_ns) / NS),
            sinks=sink_statuses(self.session, checkpoint, self._sinks),
        )

    def _poll(self) -> None:
        for path in sorted((self.session.dir / "raw").glob("*.jsonl")):
            if path not in self._streams:
                lock = self.session.dir / "state" / f"{path.stem}.lock"
                self._streams[path] = StreamFollower(path, lock, self._power_key)
            self._streams[path].poll()

    def _power_key(self, source: str) -> str | None:
        """Return the key of a source's reading that the configuration takes as its power."""
        return next((key for pattern, _, key in self._cuts if fnmatchcase(source, pattern)), None)

    def _latency_rows(self) -> deque[Aligned]:
        if self._rows is None:
            self._rows = deque(self._latency.last(FIGURES_BYTES // ROW_BYTES), MOST_ROWS)
        else:
            self._rows += self._latency.new()
        return self._rows

    def _machines(self, now_ns: int) -> Iterator[VmRow]:
        found = {dev: (stream, *told) for stream in self._streams.values() for dev, told in stream.machines.items()}
        energy = self._energy_rows(now_ns) if found else deque()
        for dev, (stream, ts_ns, simulated, kv) in found.items():
            mine = [row.kv for row in energy if row.dev == dev and "energy_j" in row.kv]
            used_kb = kv.get("memory_used_kb")
            yield VmRow(
                uuid=dev,
                name=str(kv.get("name", dev)),
                state=stream.ended() or str(kv.get("state", "unknown")),
                age_s=(now_ns - ts_ns) / NS,
                cpu_pct=kv.get("cpu_pct"),
                memory_bytes=None if used_kb is None else used_kb * 1024,
                power_w=mine[-1].get("power_w") if mine else None,
                energy_j=sum(one["energy_j"] for one in mine) if mine else None,
                simulated=simulated,
            )

    def _energy_rows(self, now_ns: int) -> deque[Aligned]:
        if self._vm_energy is None:
            new, self._vm_energy = self._signals.last(FIGURES_BYTES // ROW_BYTES), deque()
        else:
            new = self._signals.new()
        self._vm_energy += (row for row in new if row.source == VM_ENERGY)
        _forget(self._vm_energy, now_ns - WINDOW_NS)
        return self._vm_energy

    def _muxd(self, status: MuxStatus, checkpoint: MuxState, last_pair_age_s: float | None) -> MuxRow:
        unread = 0
        for path in self._streams:
            taken = checkpoint.streams.get(path.name)
            unread += max(0, size_of(path) - (taken.offset if taken else 0))
        streams = checkpoint.streams.values()
        return MuxRow(
            pid=status.pid,
            unread_bytes=unread,
            checkpoint_age_s=status.checkpoint_age_s,
            last_pair_age_s=last_pair_age_s,
            late=sum(stream.late or 0 for stream in streams),
            bad=sum(stream.bad or 0 for stream in streams),
            rebuilding=status.rebuilding,
            problem=status.problem,
        )


def _recent(rows: deque[Aligned], until_ns: int) -> list[Aligned]:
    """Return the last minute's rows, and drop older ones."""
    _forget(rows, until_ns - WINDOW_NS)
    return [row for row in rows if row.ts_aligned_ns >= until_ns - WINDOW_NS]


def _forget(rows: deque[Aligned], before_ns: int) -> None:
    """Drop old rows; the newest stays, as it tells how old it is."""
    while len(rows) > 1 and rows[0].ts_aligned_ns < before_ns:
        rows.popleft()
