"""``/api/sources``: how every source of a session fares at this moment."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchlab.session import Session
from benchlab.session_folder import timeline_ns
from webd.desk import Desk
from webd.source_watch import StreamWatch

FRESH_S = 0.5
"""An answer is given to everybody who asks within this time."""
UNUSED_S = 60.0
BOOKMARKS = "bookmarks"  # a stream of people's, not of sources


class SessionSources:
    """The raw streams of one session, followed from question to question."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._watches: dict[Path, StreamWatch] = {}
        self._turn = threading.Lock()
        self._answer = b""
        self.asked_s = self._answered_s = 0.0

    def answer(self) -> bytes:
        """Return the answer in JSON."""
        with self._turn:
            self.asked_s = time.monotonic()
            if self.asked_s - self._answered_s > FRESH_S or not self._answer:
                self._answer = msgspec.json.encode(self._found())
                self._answered_s = time.monotonic()
            return self._answer

    def close(self) -> None:
        """Let go of all files."""
        with self._turn:
            for watch in self._watches.values():
                watch.close()
            self._watches.clear()

    def _found(self) -> dict[str, Any]:
        self._session.reload()
        paths = set((self._session.dir / "raw").glob("*.jsonl"))
        for gone in set(self._watches) - paths:
            self._watches.pop(gone).close()
        sources: list[dict[str, Any]] = []
        streams: list[dict[str, Any]] = []
        for path in sorted(paths):
            if path not in self._watches:
                self._watches[path] = StreamWatch(path, self._session.dir / "state" / f"{path.stem}.lock")
            self._watches[path].refresh()
            stream, found = self._watches[path].described(timeline_ns(self._session.info))
            streams.append(stream)
            sources += [] if path.stem == BOOKMARKS else found
        now_ms = timeline_ns(self._session.info) // 1000 / 1000
        return {"session": self._session.name, "now_ms": now_ms, "sources": sources, "streams": streams}


class SourceRoutes:
    """Keeps what was read of the sessions that are asked about."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[Path, SessionSources] = {}

    async def sources(self, request: Request) -> Response:
        """Return the sources of the session that is named, else of the one that is shown."""
        name = request.query_params.get("session")
        folder = self._desk.session_dir(name) if name else self._desk.current()
        await self._forget()
        if folder is None:
            now_ms = self._desk.clock() // 1000 / 1000
            empty: dict[str, Any] = {"session": None, "now_ms": now_ms, "sources": [], "streams": []}
            return Response(msgspec.json.encode(empty), media_type="application/json")
        if folder not in self._known:
            self._known[folder] = SessionSources(self._desk.session(folder.name))
        body = await asyncio.to_thread(self._known[folder].answer)
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def _forget(self) -> None:
        now_s = time.monotonic()
        for folder, known in list(self._known.items()):
            if known.asked_s and now_s - known.asked_s > UNUSED_S:
                del self._known[folder]
                await asyncio.to_thread(known.close)


def routes(desk: Desk) -> list[Route]:
    """Return the route."""
    return [Route("/api/sources", SourceRoutes(desk).sources)]
