"""One session as it is looked at: its tail, its last minutes, and the messages that go to all viewers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from pathlib import Path
from typing import Any

from benchlab import __version__
from benchlab.errors import Fault
from benchlab.files import FileLock
from benchlab.log.watch import Watcher
from benchlab.session_find import find
from benchlab.session_folder import HOST, Session, timeline_ns
from webd.desk import Desk
from webd.live.cursor import Cursor
from webd.live.messages import Message, event, rows_between
from webd.live.rows import NS_PER_MS, Pair, Ring
from webd.live.tail import Restarted, Rewound, Rows, Tail
from webd.live.wake import Wake

log = logging.getLogger("webd")

KEEP_MS = 900_000.0
KEEP_ROWS = 1000
LEAST_GAP_S = 0.04
"""Between two batches: 25 a second."""
STATE_S = 1.0
MOST_MESSAGES = 600
"""Who is more messages behind, about 20 s, is cut off."""
PIECE_ROWS = 5000
POWER_AGE_MS = 5000.0


class Feed:
    """Follows a session while somebody looks on.

    ``epoch`` rises when everything sent so far is void, ``rewinds`` when some rows are withdrawn. ``ended`` says why
    nothing more will come. ``messages`` are numbered from ``first_number`` on.
    """

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.name = folder.name
        self.epoch = 0
        self.rewinds = 0
        self.ended = ""
        self.users = 0
        self.unused_s = time.monotonic()
        self.ring = Ring()
        self.first_number = 0
        self.messages: deque[Message] = deque()
        self.ready = asyncio.Event()
        self._desk = desk
        self._folder = folder
        self._session: Session | None = None
        self._tail: Tail | None = None
        self._news = asyncio.Event()
        self._state_s = 0.0
        self._must_load = False
        self._again = False
        self._task = asyncio.create_task(self._follow())

    @property
    def end(self) -> int:
        """Return how far the file was read."""
        return self._tail.position if self._tail else 0

    @property
    def next_number(self) -> int:
        """Return the number of the message that comes next."""
        return self.first_number + len(self.messages)

    def messages_from(self, number: int) -> list[Message]:
        """Return the messages from a number on, which must not be below ``first_number``."""
        return list(itertools.islice(self.messages, number - self.first_number, None))

    async def news(self) -> None:
        """Wait until there is something to look at: a message, a new epoch, an end, or what ``tell`` was called for."""
        await self._news.wait()

    def tell(self) -> None:
        """Have all viewers look."""
        self._news.set()
        self._news.clear()

    def cursor_at(self, offset: int) -> Cursor | None:
        """Return the place of an offset."""
        return self._tail.cursor_at(offset) if self._tail else None

    def resume_at(self, cursor: Cursor | None) -> int | None:
        """Return the offset to go on from; None if what its holder has is void, or too old."""
        if cursor is None or self._tail is None or not self._tail.holds(cursor):
            return None
        return cursor.offset if cursor.offset >= self.ring.first_at(self.end) else None

    def begin_at(self, pair: Pair | None, backfill_s: float) -> int:
        """Return the offset from which the last seconds are told."""
        if self.ring.newest_ms is None:
            return self.end
        return self.ring.at_since(self.ring.newest_ms - backfill_s * 1000, pair, self.end)

    def piece(self, start: int, pair: Pair | None) -> tuple[bytes, int]:
        """Return the next rows from an offset on, at most ``PIECE_ROWS``, and the offset they reach to."""
        chosen = [rows for name, rows in self.ring.pairs.items() if pair in (None, name)]
        share = max(1, PIECE_ROWS // (2 * max(1, len(chosen))))
        kinds = [columns for rows in chosen for columns in (rows.frames, rows.drops)]
        share = PIECE_ROWS if len(chosen) == 1 else share
        starts = [(columns, columns.find(start) + share) for columns in kinds]
        end = min((columns.at[i] for columns, i in starts if i < len(columns)), default=self.end)
        return Message(list(rows_between(self.ring, start, end, pair)), self.cursor_at(end)).to(pair), end

    def hello(self, reset: bool) -> dict[str, Any]:
        """Return what a viewer is told first."""
        info = self._session.info if self._session else None
        last = self.ring.last
        unc_ns = last.unc_ns if last else None
        return {
            "session": self.name,
            "node": info.node if info else None,
            "open": self.is_open(),
            "sim": self.ring.sim,
            "sim_of": self.ring.sim_of,
            "pairs": list(self.ring.pairs),
            "default_pair": self.default_pair(),
            "thresholds_ms": [self._desk.config.web.ok_ms, self._desk.config.web.slow_ms],
            "now_ms": self._now_ms(),
            "version": __version__,
            "clock": {
                "synchronized": info.clock_synchronised if info else None,
                "unc_ms": None if unc_ns is None else unc_ns / NS_PER_MS,
            },
            "reset": reset,
        }

    def default_pair(self) -> Pair | None:
        """Return the pair that is shown first: the configured one if there are rows of it, else the first seen."""
        configured = (self._desk.config.pipeline.stage_a, self._desk.config.pipeline.stage_b)
        return configured if configured in self.ring.pairs else next(iter(self.ring.pairs), None)

    def is_open(self) -> bool:
        """Tell whether more rows may come."""
        return not self.ended and self._session is not None and not self._session.info.closed

    def has_rows(self) -> bool:
        """Tell whether there is something to show."""
        return bool(self.ring.pairs)

    def state(self) -> dict[str, Any]:
        """Return what is told every second."""
        now_ms, ring = self._now_ms(), self.ring
        newest = ring.newest_ms
        power = ring.last_power
        fresh = power is not None and now_ms - power.ts_aligned_ns / NS_PER_MS < POWER_AGE_MS
        return {
            "now_ms": now_ms,
            "newest_ms": newest,
            "lag_ms": None if newest is None else round(now_ms - newest, 3),
            "muxd": self._muxd(),
            "power_source": power.kv.power_source if power else None,
            "power_now_w": power.kv.power_w if power and fresh else None,
            "temp_c": power.kv.temp_c if power and fresh else None,
            "dropped": {",".join(pair): rows.dropped for pair, rows in ring.pairs.items()},
        }

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        wake = Wake(Watcher(self._folder / "aligned"), self._folder / "aligned")
        try:
            await self._load()
            while not self.ended:
                self._look()
                if self._must_load:
                    await self._load()
                await asyncio.sleep(LEAST_GAP_S)
                if not self._again:
                    await wake.wait(max(0.0, self._state_s + STATE_S - time.monotonic()))
        except Exception:
            log.exception("following session %s failed: its viewers are sent away", self.name)
            self._end("failed")
        finally:
            wake.close()
            if self._tail:
                self._tail.close()

    async def _load(self) -> None:
        """Read the last minutes; what was sent before is void."""
        self._must_load = False
        session, tail, ring = await asyncio.to_thread(_loaded, self._folder)
        if self._tail:
            self._tail.close()
        self._session, self._tail, self.ring = session, tail, ring
        self.epoch += 1
        self.first_number = self.next_number
        self.messages.clear()
        self.ready.set()
        self.tell()

    def _look(self) -> None:
        """Take what has come, and see to what is due every second."""
        assert self._tail is not None
        self._again, start = False, self.end
        for change in self._tail.read():
            self._take(change)
        if time.monotonic() - self._state_s >= STATE_S:
            self._state_s = time.monotonic()
            for change in self._tail.check():
                self._take(change)
            self._see_to_it()
        if self._must_load or self.end <= start:
            return
        parts = list(rows_between(self.ring, start, self.end))
        if parts:
            self._send(Message(parts, self._tail.cursor()))

    def _take(self, change: object) -> None:
        if isinstance(change, Rows):
            for at, row in change.rows:
                self.ring.add(at, row)
        elif isinstance(change, Rewound):
            self.ring.rewind(change.at)
            self.rewinds += 1
            self._again = True  # what replaces them is there already, or comes soon
            self._send(Message([(None, event("rewind", {"at": change.at}))], self.cursor_at(change.at)))
        elif isinstance(change, Restarted):
            self._must_load = True

    def _see_to_it(self) -> None:
        self.ring.trim(KEEP_MS, KEEP_ROWS)
        if not self._folder.is_dir():
            self._end("deleted")
            return
        if self._session is not None:
            self._session.reload()
        self._send(Message([(None, event("state", self.state()))]))
        vouched = self._tail.vouched if self._tail else None
        if not self.is_open() and (vouched is None or vouched.final or self._muxd() != "live"):
            self._end("closed")

    def _end(self, reason: str) -> None:
        self.ended = reason
        self.ready.set()
        self.tell()

    def _send(self, message: Message) -> None:
        self.messages.append(message)
        if len(self.messages) > MOST_MESSAGES:
            self.messages.popleft()
            self.first_number += 1
        self.tell()

    def _now_ms(self) -> float:
        info = self._session.info if self._session else None
        return (timeline_ns(info) if info else self._desk.clock()) // 1000 / 1000

    def _muxd(self) -> str:
        """Return whether a muxd works on the session (``live``), did once (``stale``), or never did (``absent``)."""
        if FileLock(self._folder / "state" / "mux.lock", "").holder is not None:
            return "live"
        return "stale" if self._tail and self._tail.vouched else "absent"


def _loaded(folder: Path) -> tuple[Session | None, Tail, Ring]:
    """Read a session's description and its last minutes."""
    try:
        session = find(folder.parent.parent, folder.name, HOST)
    except (Fault, OSError):
        session = None
    tail, ring = Tail(folder, int(KEEP_MS * NS_PER_MS)), Ring()
    for change in tail.read():
        if isinstance(change, Rows):
            for at, row in change.rows:
                ring.add(at, row)
            ring.trim(KEEP_MS, KEEP_ROWS)
    return session, tail, ring
