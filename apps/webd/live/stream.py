"""``/api/stream``: one viewer's stream of server-sent events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from webd.live.about import no_hello, no_state
from webd.live.cursor import Cursor
from webd.live.feed import Feed
from webd.live.hub import Hub
from webd.live.messages import RETRY, event
from webd.live.rows import Pair

PING_S = 10.0
PING = b": still here\n\n"


@dataclass(frozen=True)
class Wanted:
    """What a viewer asked for; without ``folder`` it follows the session that is shown."""

    folder: Path | None
    pair: Pair | None
    backfill_s: float
    cursor: Cursor | None


class EventStream(Response):
    """Answers with a stream that ends when its viewer leaves, falls behind, or there is nothing more to come."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, wanted: Wanted) -> None:
        super().__init__(headers={"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub = hub
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        self._hub.viewers += 1
        viewing = asyncio.create_task(_Viewer(self._hub, self._wanted, send).run())
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({viewing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.viewers -= 1
            viewing.cancel()
            leaving.cancel()
            results = await asyncio.gather(viewing, leaving, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Viewer:
    """Sends what there is, then what comes."""

    def __init__(self, hub: Hub, wanted: Wanted, send: Send) -> None:
        self._hub = hub
        self._wanted = wanted
        self._transport = send
        self._cursor = wanted.cursor

    async def run(self) -> None:
        """Serve until the stream is over."""
        await self._send(RETRY)
        goes_on = True
        while goes_on and not self._hub.stopping:
            folder = self._wanted.folder or self._hub.look()
            if folder is None:
                await self._wait_for_session()
                continue
            async with self._hub.use(folder) as feed:
                goes_on = await self._watch(feed, folder)
            self._cursor = None
        await self._transport({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, feed: Feed, folder: Path) -> bool:
        """Show a session until it is void, over, or not the one to show any more; return whether to go on."""
        epoch, rewinds = feed.epoch, feed.rewinds
        position = feed.resume_at(self._cursor)
        reset = position is None
        if position is None:
            position = feed.begin_at(self._wanted.pair, self._wanted.backfill_s)
        await self._send(event("hello", feed.hello(reset), feed.cursor_at(position)))
        while position < feed.end:
            data, position = feed.piece(position, self._wanted.pair)
            if data:
                await self._send(data)
            if (feed.epoch, feed.rewinds) != (epoch, rewinds):
                return True
        return await self._follow(feed, folder, epoch)

    async def _follow(self, feed: Feed, folder: Path, epoch: int) -> bool:
        number = feed.next_number
        await self._send(event("state", feed.state()))
        while not self._hub.stopping and feed.epoch == epoch:
            if number < feed.first_number:
                return False  # too slow: it comes back with what it has, and is told the rest at once
            messages = feed.messages_from(number)
            number += len(messages)
            if data := b"".join(message.to(self._wanted.pair) for message in messages):
                await self._send(data)
            elif feed.ended:
                return await self._end(feed, folder)
            elif self._is_elsewhere(folder):
                return True
            else:
                await feed.news()
        return True

    async def _end(self, feed: Feed, folder: Path) -> bool:
        await self._send(event("end", {"reason": feed.ended}))
        if self._wanted.folder is not None:
            return False
        while not self._is_elsewhere(folder) and not self._hub.stopping:
            if not await self._hub.changed(PING_S):
                await self._send(PING)
        return True

    def _is_elsewhere(self, folder: Path) -> bool:
        """Tell whether another session is to be shown by now."""
        return self._wanted.folder is None and self._hub.shown != folder

    async def _wait_for_session(self) -> None:
        await self._send(event("hello", no_hello(self._hub.desk)))
        while not self._hub.stopping and self._hub.look() is None:
            await self._hub.changed(1.0)
            await self._send(event("state", no_state(self._hub.desk)))

    async def _send(self, data: bytes) -> None:
        await self._transport({"type": "http.response.body", "body": data, "more_body": True})
