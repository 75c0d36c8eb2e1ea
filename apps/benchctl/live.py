"""The one-line status of a running session: events a second, latency, watts, joules, drops."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from benchctl.summary import OPEN
from benchctl.tail import Follower, Pair
from benchlab.event import Aligned
from benchlab.query.aligned import LATENCY
from benchlab.query.percentiles import percentiles
from benchlab.session import Session

WINDOW_NS = 10_000_000_000
RATE_S = 5.0
LINE_EVERY_S = 5.0
_CHUNK_BYTES = 1 << 20


class EventRate:
    """Counts the lines that are appended to the raw files, over the last few seconds."""

    def __init__(self, raw: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._raw = raw
        self._clock = clock
        self._offsets: dict[Path, int] = {}
        self._counts: deque[tuple[float, int]] = deque([(clock(), 0)])
        self.total = 0

    def per_second(self) -> float:
        """Read what was appended and return the rate."""
        for path in self._raw.glob("*.jsonl"):
            self.total += self._appended(path)
        now = self._clock()
        self._counts.append((now, self.total))
        while now - self._counts[0][0] > RATE_S and len(self._counts) > 2:
            self._counts.popleft()
        began, before = self._counts[0]
        return (self.total - before) / (now - began) if now > began else 0.0

    def _appended(self, path: Path) -> int:
        count = 0
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            while chunk := file.read(_CHUNK_BYTES):
                count += chunk.count(b"\n")
            self._offsets[path] = file.tell()
        return count


class LiveStatus:
    """What the last ten seconds of a session look like."""

    def __init__(self, session: Session, pair: Pair | None = None) -> None:
        self._rate = EventRate(session.dir / "raw")
        self._follower = Follower(session, pair)
        self._window: deque[Aligned] = deque()
        self.dropped = 0

    def text(self) -> str:
        """Read what is new and return the line."""
        rate = self._rate.per_second()
        for row in self._follower.new():
            if row.source == LATENCY:
                self._window.append(row)
            elif row.kv.get("reason") not in OPEN:
                self.dropped += 1
        while self._window and self._window[-1].ts_aligned_ns - self._window[0].ts_aligned_ns > WINDOW_NS:
            self._window.popleft()
        return "  ".join([f"{rate:.0f} events/s", *self._figures(), f"{self.dropped} dropped", *self._marks()])

    def _figures(self) -> list[str]:
        if not self._window:
            return ["no pairs yet"]
        p50, p95, p99 = percentiles(row.kv["lat_ms"] for row in self._window)
        figures = [f"p50 {p50:.1f}  p95 {p95:.1f}  p99 {p99:.1f} ms"]
        for key, unit, digits in (("power_w", "W", 1), ("energy_j", "J/frame", 3)):
            values = [row.kv[key] for row in self._window if key in row.kv]
            if values:
                figures.append(f"{sum(values) / len(values):.{digits}f} {unit}")
        return figures

    def _marks(self) -> list[str]:
        return ["(simulated)"] if any(row.sim for row in self._window) else []


class StatusLine:
    """Shows a text in place on a terminal, else as a line of its own every few seconds."""

    def __init__(self, out: TextIO = sys.stderr, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._in_place = out.isatty()
        self._last_s = clock()
        self._shown = False

    def show(self, text: str) -> None:
        """Show the text, cut to the terminal's width."""
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1
            self._out.write(f"\r\x1b[2K{text[:width]}")
            self._shown = True
        elif self._clock() - self._last_s >= LINE_EVERY_S:
            self._last_s = self._clock()
            self._out.write(f"{text}\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the line as it stands and go to the next."""
        if self._shown:
            self._out.write("\n")
            self._out.flush()
            self._shown = False
