"""What one raw stream says of its sources now, kept up to date by reading on from where it was read last."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from benchlab.catalog import lookup
from benchlab.errors import Fault
from benchlab.event import META, Event
from benchlab.files import FileLock
from benchlab.log.file_end import size_of
from benchlab.log.reader import RawChanged, StreamReader
from benchlab.log.tail import line_start
from benchlab.stream_story import Address, SourceStatus, follow, note_reading, periods_ms, story_lines, without_scouts

TAIL_BYTES = 256 * 1024
MOST_UNREAD = 4 * 1024 * 1024
"""Who comes back after more than this begins at the end again."""
RATE_NS = 5_000_000_000
PATIENCE_MS = 2000.0
MOST_TABLE_ROWS = 64
NS_PER_MS = 1e6
NS_PER_S = 1e9


class Readings:
    """The last reading of a source, and when those before it were."""

    def __init__(self) -> None:
        self.last: Event | None = None
        self.times: deque[int] = deque(maxlen=2048)

    def add(self, row: Event) -> None:
        """Take a reading."""
        self.last = row
        self.times.append(row.ts_ns)

    def rate_hz(self) -> float | None:
        """Return how many readings a second there were in the last seconds, None where there was one at most."""
        if len(self.times) < 2:
            return None
        recent = [t for t in self.times if t >= self.times[-1] - RATE_NS]
        if len(recent) < 2:
            recent = [self.times[-2], self.times[-1]]
        span_ns = max(recent) - min(recent)
        return (len(recent) - 1) / span_ns * NS_PER_S if span_ns > 0 else None


class StreamWatch:
    """Follows a raw stream while somebody asks. ``refresh`` reads what has come; nothing of it waits."""

    def __init__(self, path: Path, lock_path: Path) -> None:
        self.path = path
        self._lock_path = lock_path
        self._reader = StreamReader(path, Event)
        self._begin()

    def refresh(self) -> None:
        """Read on to the end of the file."""
        try:
            if self._reader.unread() > MOST_UNREAD:
                self._begin()
            at_end = False
            while not at_end:
                batch = self._reader.read()
                at_end = batch.at_end
                for row in batch.rows:
                    self._take(row)
        except RawChanged:
            self._begin()
        except Fault as fault:
            self._problem = fault.message

    def writer(self) -> str | None:
        """Return whether the stream's writer is ``live`` or ``dead``; None for one that takes no lock."""
        if FileLock(self._lock_path, "").holder is not None:
            return "live"
        return "dead" if self._lock_path.exists() else None

    def described(self, now_ns: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the stream, and its sources, as the API has them."""
        writer = self.writer()
        times = [found.last.ts_ns for found in self._readings.values() if found.last]
        stream = {"name": self.path.stem, "writer": writer, "last_ms": _ms(max(times, default=None))}
        found = sorted(without_scouts(self._story), key=lambda one: (one.source, one.dev or ""))
        return stream, [self._source(one, dev, writer, now_ns) for one in found for dev in self._devices(one)]

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def _begin(self) -> None:
        size = size_of(self.path)
        self._problem = ""
        self._story: dict[Address, SourceStatus] = {}
        self._periods: dict[Address, float] = {}
        self._readings: dict[Address, Readings] = {}
        self._ended = ""
        for line in story_lines(self.path, size):
            self._take(line)
        self._reader.close()
        start = line_start(self.path, max(0, size - TAIL_BYTES)) if size else 0
        self._reader = StreamReader(self.path, Event, start)

    def _take(self, row: Event) -> None:
        if row.source == META:
            follow(self._story, row)
            told = row.kv.get("event")
            if told == "start":
                self._periods = periods_ms(row)
                self._readings.clear()
            if told in ("start", "stop"):
                self._ended = told
            return
        note_reading(self._story, row)
        self._readings.setdefault((row.source, row.dev), Readings()).add(row)

    def _devices(self, status: SourceStatus) -> list[str | None]:
        """Return the devices that a source has readings of, where its story does not tell them apart."""
        if status.dev is not None:
            return [status.dev]
        told = {dev for source, dev in self._story if source == status.source and dev is not None}
        return sorted({dev for source, dev in self._readings if source == status.source} - told, key=str) or [None]

    def _source(self, status: SourceStatus, dev: str | None, writer: str | None, now_ns: int) -> dict[str, Any]:
        readings = self._readings.get((status.source, dev), Readings())
        last = readings.last
        period_ms = self._periods.get((status.source, dev), self._periods.get((status.source, None)))
        rate_hz = readings.rate_hz()
        age_ms = None if last is None else (now_ns - last.ts_ns) / NS_PER_MS
        usual_ms = period_ms or (1000 / rate_hz if rate_hz else 1000.0)
        stale = age_ms is None or age_ms > max(3 * usual_ms, usual_ms + PATIENCE_MS)
        up, why = self._fares(status, writer)
        return {
            "source": status.source,
            "dev": dev,
            "stream": self.path.stem,
            "up": up,
            "why": why,
            "fix": status.fix,
            "sim": last.sim if last else status.simulated,
            "last_ms": _ms(last.ts_ns if last else None),
            "age_ms": age_ms if age_ms is None else round(age_ms, 3),
            "rate_hz": None if stale or not up or rate_hz is None else round(rate_hz, 3),
            "period_s": None if period_ms is None else period_ms / 1000,
            "stale": stale,
            "unc_ms": None if last is None or last.unc_ns is None else last.unc_ns / NS_PER_MS,
            "values": _values(last) if last else [],
        }

    def _fares(self, status: SourceStatus, writer: str | None) -> tuple[bool | None, str | None]:
        """Return whether a source is up, and why it is not."""
        if self._problem:
            return None, self._problem
        if status.state == "down":
            return False, status.reason
        if writer == "dead":
            how = "was stopped" if self._ended == "stop" else "ended without saying so"
            return False, f"the program that writes {self.path.name} {how}"
        if status.state == "quiet":
            return None, "nothing came of it yet"
        return True, None


def _values(row: Event) -> list[dict[str, Any]]:
    """Return a reading's values with what the catalog says of them; of a table the first rows."""
    found = []
    for key, value in row.kv.items():
        signal = lookup(row.source, key)
        shown = value[:MOST_TABLE_ROWS] if isinstance(value, list) else value
        unit, about = (signal.unit, signal.help) if signal else (None, None)
        found.append({"key": key, "value": shown, "unit": unit, "help": about})
    return found


def _ms(ts_ns: int | None) -> float | None:
    return None if ts_ns is None else ts_ns // 1000 / 1000
