"""All sessions that are looked at now, and which of them is the current one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from webd.desk import Desk
from webd.live.feed import Feed

LOOK_S = 0.5
ROTATION_S = 10.0
"""A session that became current is waited for so long to have rows; then it is shown empty."""
UNUSED_S = 30.0


class Hub:
    """Opens a feed for the first viewer of a session and closes it some time after the last.

    ``shown`` is the session of those who named none. After a rotation it changes when the new one has rows.
    ``viewers`` are the streams that are open.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.shown: Path | None = None
        self.stopping = False
        self.viewers = 0
        self._feeds: dict[Path, Feed] = {}
        self._waiting_since_s: float | None = None
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look after the feeds while the program serves."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, *(feed.close() for feed in self._feeds.values()), return_exceptions=True)

    @asynccontextmanager
    async def use(self, folder: Path) -> AsyncIterator[Feed]:
        """Look at a session; its feed is ready inside."""
        feed = self._feeds.get(folder)
        if feed is None or feed.ended not in ("", "closed"):
            feed = self._feeds[folder] = Feed(self.desk, folder)
        feed.users += 1
        try:
            await feed.ready.wait()
            yield feed
        finally:
            feed.users -= 1
            feed.unused_s = time.monotonic()

    async def changed(self, timeout_s: float) -> bool:
        """Return True when another session is shown or the program stops, False after ``timeout_s``."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except asyncio.TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Have all streams end."""
        self.stopping = True
        self._tell()

    def look(self) -> Path | None:
        """Find out which session is current; return the one that is shown."""
        current = self.desk.current()
        if current == self.shown:
            self._waiting_since_s = None
        elif self._may_change(current):
            self.shown, self._waiting_since_s = current, None
            self._tell()
        return self.shown

    def _may_change(self, current: Path | None) -> bool:
        feed = self._feeds.get(self.shown) if self.shown else None
        if feed is None or not feed.users:
            return True
        if current is None:
            return False  # it was deleted: those who look on keep what they have until there is another
        if feed.ended or _has_rows(current):
            return True
        self._waiting_since_s = self._waiting_since_s or time.monotonic()
        return time.monotonic() - self._waiting_since_s > ROTATION_S

    def _tell(self) -> None:
        self._changed.set()
        self._changed.clear()
        for feed in self._feeds.values():
            feed.tell()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
            now_s = time.monotonic()
            for folder, feed in list(self._feeds.items()):
                if not feed.users and now_s - feed.unused_s > UNUSED_S:
                    del self._feeds[folder]
                    await feed.close()


def _has_rows(folder: Path) -> bool:
    try:
        return (folder / "aligned" / "latency.jsonl").stat().st_size > 0
    except OSError:
        return False
