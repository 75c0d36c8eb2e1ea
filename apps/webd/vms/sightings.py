"""The newest reading of each virtual machine of a session, what it cost last, and how its collector fares.

Read from the ends of two files, and read on when somebody asks again: nothing is kept for those whom nobody asks about.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from benchlab.event import META, Aligned, Event, Value
from benchlab.log.file_end import size_of
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.log.tail import line_start
from benchlab.query.aligned import SIGNALS_FILE
from benchlab.stream_story import story_lines

T = TypeVar("T")

VM, ENERGY, COLLECTOR = "vm.libvirt", "metric.vm_energy", "self.vm"
RAW_FILE = "vmstat.jsonl"
TAIL_BYTES = 4 * 1024 * 1024
UNKNOWN_PERIOD_MS = 5000.0
LASTING = ("cpu_count", "memory_max_kb", "memory_used_from")
"""What is so until something else is said, if it is not recorded at every poll (``[vmstatd].every``)."""
_GONE = ("vm_gone", "vm_migrated")


@dataclass
class Sighted:
    """What is known of the VMs of a session: newest readings and costs by uuid ("" for the rest of the energy).

    ``lasting`` is what was said last of each key of ``LASTING``.
    """

    vms: dict[str, Event] = field(default_factory=dict)
    lasting: dict[str, dict[str, Value]] = field(default_factory=dict)
    energy: dict[str, Aligned] = field(default_factory=dict)
    collector: Event | None = None
    period_ms: float = UNKNOWN_PERIOD_MS


class Sightings:
    """Follows the VMs of one session; safe to ask from several threads."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._raw = _End(folder / "raw" / RAW_FILE, Event)
        self._aligned = _End(folder / "aligned" / SIGNALS_FILE, Aligned)
        self._found = Sighted()

    def look(self) -> Sighted:
        """Return what is known now. Raises Fault (IO), OSError, RawChanged."""
        with self._lock:
            for row in self._aligned.more():
                self._take_row(row)
            if not self._raw.is_begun:
                for line in story_lines(self._raw.path, size_of(self._raw.path)):
                    self._hear(line)
            for event in self._raw.more():
                self._take_event(event)
            found = self._found
            return replace(found, vms=dict(found.vms), lasting=dict(found.lasting), energy=dict(found.energy))

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self._raw.close()
            self._aligned.close()

    def _take_row(self, row: Aligned) -> None:
        if row.source == ENERGY:
            self._found.energy[row.dev or ""] = row
        elif row.source == VM and row.dev and self._raw.is_missing:
            seen = Event(row.ts_aligned_ns, VM, row.kv, dev=row.dev, unc_ns=row.unc_ns, sim=row.sim)
            self._see(row.dev, seen)  # its raw file is gone: to the next second is good enough

    def _take_event(self, event: Event) -> None:
        if event.source == VM and event.dev:
            before = self._found.vms.get(event.dev)
            if before is None or event.ts_ns >= before.ts_ns:
                self._see(event.dev, event)
        elif event.source == COLLECTOR:
            self._found.collector = event
        elif event.source == META:
            self._hear(event)

    def _see(self, uuid: str, event: Event) -> None:
        self._found.vms[uuid] = event
        said = {key: event.kv[key] for key in LASTING if key in event.kv}
        self._found.lasting[uuid] = {**self._found.lasting.get(uuid, {}), **said}

    def _hear(self, event: Event) -> None:
        if event.kv.get("event") in _GONE and event.dev:
            self._found.vms.pop(event.dev, None)
            self._found.lasting.pop(event.dev, None)
        table = event.kv.get("sources")
        for row in table if isinstance(table, list) else ():
            if isinstance(row, dict) and row.get("source") == VM and isinstance(row.get("period_ms"), int | float):
                self._found.period_ms = float(row["period_ms"])


class _End(Generic[T]):
    """The end of one file, from where it was when it was first asked for."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self._kind = kind
        self._reader: StreamReader[T] | None = None

    @property
    def is_missing(self) -> bool:
        return not self.path.exists()

    @property
    def is_begun(self) -> bool:
        return self._reader is not None

    def more(self) -> Iterator[T]:
        """Yield what was not yielded yet; a file that was replaced is read from its end again."""
        if self.is_missing:
            return
        try:
            if self._reader is None or self._reader.unread() > TAIL_BYTES:
                self._begin()
            yield from self._rest()
        except RawChanged:
            self._begin()
            yield from self._rest()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _begin(self) -> None:
        self.close()
        start = line_start(self.path, max(0, size_of(self.path) - TAIL_BYTES))
        self._reader = StreamReader(self.path, self._kind, start, guard_time=False)

    def _rest(self) -> Iterator[T]:
        at_end = self._reader is None
        while self._reader is not None and not at_end:
            batch = self._reader.read()
            at_end = batch.at_end
            yield from batch.rows
