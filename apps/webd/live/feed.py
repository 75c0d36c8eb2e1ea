"""One session as it is looked at: its tail, its last minutes, and the messages that go to all viewers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from pathlib import Path
from typing import Any

from benchlab.log.vouched import Vouched
from benchlab.log.watch import Watcher
from webd.desk import Desk
from webd.live.about import About
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
        self._about = About(desk, folder)
        self._tail: Tail | None = None
        self._news = asyncio.Event()
        self._state_s = 0.0
        self._must_load = False
        self._told = ""
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
        share = PIECE_ROWS // max(1, len(chosen))
        kinds = [columns for rows in chosen for columns in (rows.frames, rows.drops)]
        starts = [(columns, columns.find(start) + share) for columns in kinds]
        end = min((columns.at[i] for columns, i in starts if i < len(columns)), default=self.end)
        return Message(list(rows_between(self.ring, start, end, pair)), self.cursor_at(end)).to(pair), end

    def hello(self, reset: bool) -> dict[str, Any]:
        """Return what a viewer is told first."""
        return self._about.hello(self.ring, self.is_open(), reset)

    def state(self) -> dict[str, Any]:
        """Return what is told every second."""
        return self._about.state(self.ring, self._vouched, self._tail is None or self._tail.start == 0)

    def default_pair(self) -> Pair | None:
        """Return the pair that is shown first."""
        return self._about.default_pair(self.ring)

    def is_open(self) -> bool:
        """Tell whether more rows may come."""
        return not self.ended and not self._about.is_closed

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        wake = Wake(Watcher(self._folder / "aligned"), self._folder / "aligned")
        try:
            await self._load()
            while not self.ended:
                more_is_likely = self._look()
                if self._must_load:
                    await self._load()
                    await asyncio.sleep(LEAST_GAP_S)
                elif more_is_likely:  # then the next look finds something too: cheaper than to be woken for it
                    await asyncio.sleep(LEAST_GAP_S)
                else:
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
        about, tail, ring = await asyncio.to_thread(_loaded, self._desk, self._folder)
        if self._tail:
            self._tail.close()
        self._about, self._tail, self.ring = about, tail, ring
        self.epoch += 1
        self.first_number = self.next_number
        self.messages.clear()
        self.ready.set()
        self.tell()

    def _look(self) -> bool:
        """Take what has come, and see to what is due every second; return whether there was anything."""
        assert self._tail is not None
        rewinds, is_over = self.rewinds, False
        is_due = time.monotonic() - self._state_s >= STATE_S
        if is_due:
            self._state_s = time.monotonic()
            self._about.refresh()
            for change in self._tail.check():
                self._take(change)
            is_over = self._is_over()  # found out before the rest is read, so that the rest is all there is
        start = self.end
        for change in self._tail.read():
            self._take(change)
        if not self._must_load and self.end > start:
            parts = list(rows_between(self.ring, start, self.end))
            if parts:
                self._send(Message(parts, self._tail.cursor()))
        if is_due:
            self._see_to_it(is_over)
        return self.end > start or self.rewinds != rewinds  # what replaces withdrawn rows is there, or comes soon

    def _take(self, change: object) -> None:
        if isinstance(change, Rows):
            for at, row in change.rows:
                self.ring.add(at, row)
        elif isinstance(change, Rewound):
            self.ring.rewind(change.at)
            self.rewinds += 1
            self._send(Message([(None, event("rewind", {"at": change.at}))], self.cursor_at(change.at)))
        elif isinstance(change, Restarted):
            if self._folder.is_dir():
                self._must_load = True
            else:
                self._end("deleted")  # what viewers have is not void for that

    def _is_over(self) -> bool:
        """Tell whether the session is closed and decided to its end; one that a muxd has begun waits for the next."""
        vouched = self._vouched
        return self._about.is_closed and (vouched.final if vouched else self._about.muxd(vouched) != "live")

    def _see_to_it(self, is_over: bool) -> None:
        """Do what is due every second."""
        assert self._tail is not None
        self.ring.trim(KEEP_MS, KEEP_ROWS)
        if not self._folder.is_dir():
            self._end("deleted")
            return
        if self._tail.problem != self._told:
            self._told = self._tail.problem
            log.warning("%s", self._told or f"{self._tail.path} can be read again")
        self._send(Message([(None, event("state", self.state()))]))
        if is_over and not self._must_load:
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

    @property
    def _vouched(self) -> Vouched | None:
        return self._tail.vouched if self._tail else None


def _loaded(desk: Desk, folder: Path) -> tuple[About, Tail, Ring]:
    """Read a session's description and its last minutes."""
    about, tail, ring = About(desk, folder), Tail(folder, int(KEEP_MS * NS_PER_MS)), Ring()
    for change in tail.read():
        if isinstance(change, Rows):
            for at, row in change.rows:
                ring.add(at, row)
            ring.trim(KEEP_MS, KEEP_ROWS)
    return about, tail, ring
