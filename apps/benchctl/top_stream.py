"""One raw stream as ``benchctl top`` follows it: its sources, how often they speak, what they draw."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchctl.stream_status import NS, TAIL_BYTES
from benchlab.catalog.vm import VM
from benchlab.event import META, Event
from benchlab.files import FileLock
from benchlab.log.file_end import size_of
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.log.tail import line_start
from benchlab.stream_story import SELF, Address, SourceStatus, Story, follow, note_reading, story_of, without_scouts

RATE_S = 10.0
MOST_BEHIND_BYTES = 8 * 1024 * 1024
"""Further behind than this, what lies between is skipped: a screen shows the present."""

PowerKeyOf = Callable[[str], "str | None"]


class SourceRow(msgspec.Struct):
    """One source; what is not known is None.

    ``state``: ``up``, ``down``, ``quiet``, or how its stream ended: ``stopped``, ``dead``. ``power_w`` is the reading
    that ``[mux].power_sources`` names.
    """

    stream: str
    source: str
    dev: str | None
    state: str
    age_s: float | None = None
    rate_hz: float | None = None
    power_w: float | None = None
    reason: str | None = None
    fix: str | None = None
    simulated: bool = False


class StreamFollower:
    """Follows one raw file from near its end; what was read is not read again. Methods raise Fault (IO), OSError."""

    def __init__(self, path: Path, lock_path: Path, power_key: PowerKeyOf) -> None:
        self.path = path
        self._lock = FileLock(lock_path, "")
        self._power_key = power_key
        self.machines: dict[str, tuple[int, bool, Mapping[str, Any]]] = {}
        self._open()

    def _open(self) -> None:
        """Begin near the end of the file."""
        size = size_of(self.path)
        self._story: Story = story_of(self.path, size)
        self._times: dict[Address, deque[int]] = {}
        self._first_ns: dict[Address, int] = {}
        self._power_w: dict[Address, float] = {}
        self._keys: dict[str, str | None] = {}
        self._ended = False
        start = line_start(self.path, max(0, size - TAIL_BYTES)) if size else 0
        self._reader = StreamReader(self.path, Event, start, guard_time=False)

    def close(self) -> None:
        """Give the file back."""
        self._reader.close()

    def poll(self) -> None:
        """Take in what was appended."""
        if size_of(self.path) - self._reader.offset > MOST_BEHIND_BYTES:
            self._begin_anew()
        for _ in range(2):  # a file that was replaced once more is for the next time
            try:
                return self._read()
            except RawChanged:
                self._begin_anew()
        return None

    def _begin_anew(self) -> None:
        self._reader.close()
        self._open()

    def _read(self) -> None:
        at_end = False
        while not at_end:
            batch = self._reader.read()
            for row in batch.rows:
                self._take(row)
            at_end = batch.at_end

    def _take(self, row: Event) -> None:
        self._ended = row.source == META and row.kv.get("event") == "stop"
        if row.source == META:
            if row.kv.get("event") == "start":
                self._times.clear()
                self._first_ns.clear()
                self._power_w.clear()
                self.machines.clear()
            follow(self._story, row)
            return
        note_reading(self._story, row)
        address = (row.source, row.dev if (row.source, row.dev) in self._story else None)
        self._first_ns.setdefault(address, row.ts_ns)
        self._times.setdefault(address, deque()).append(row.ts_ns)
        if row.source not in self._keys:
            self._keys[row.source] = self._power_key(row.source)
        power_w = row.kv.get(self._keys[row.source] or "")
        if isinstance(power_w, int | float):
            self._power_w[address] = power_w
        if row.source == VM and row.dev:
            self.machines[row.dev] = (row.ts_ns, row.sim, row.kv)

    def ended(self) -> str | None:
        """Return how the stream ended, ``stopped`` or ``dead``; None while it is written."""
        return None if self._lock.holder is not None else "stopped" if self._ended else "dead"

    def rows(self, now_ns: int) -> Iterator[SourceRow]:
        """Yield the sources as they are now."""
        state = self.ended()
        found = sorted(without_scouts(self._story), key=lambda source: (source.source, source.dev or ""))
        for source in found:
            if not source.source.startswith(SELF):
                yield self._row(source, state, now_ns)

    def _row(self, source: SourceStatus, ended: str | None, now_ns: int) -> SourceRow:
        address = (source.source, source.dev)
        row = SourceRow(self.path.stem, *address, ended or source.state, simulated=source.simulated)
        if source.last_ns is not None:
            row.age_s = (now_ns - source.last_ns) / NS
        if ended is None and source.state == "up":
            row.rate_hz = self._rate_hz(address, now_ns)
            row.power_w = self._power_w.get(address)
        elif ended is None:
            row.reason, row.fix = source.reason, source.fix
        return row

    def _rate_hz(self, address: Address, now_ns: int) -> float | None:
        """Return events a second over the last seconds, or over those since the first; None in its first second."""
        times = self._times.get(address, deque())
        from_ns = max(now_ns - int(RATE_S * NS), self._first_ns.get(address, now_ns))
        while times and times[0] <= from_ns:
            times.popleft()
        if now_ns - from_ns < NS:
            return None
        return round(len(times) * NS / (now_ns - from_ns), 2)
