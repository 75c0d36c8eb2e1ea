"""``/api/live`` and ``/api/stream``: the rows as they come, polled or streamed."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from webd.errors import Refusal
from webd.live.about import no_hello, no_state
from webd.live.cursor import parse
from webd.live.feed import KEEP_MS, PIECE_ROWS, Feed
from webd.live.hub import Hub
from webd.live.rows import Frames, Pair
from webd.live.stream import EventStream, Wanted

LAST_ROWS = 300
MOST_VIEWERS = 256


def routes(hub: Hub) -> list[Route]:
    """Return the routes over a hub."""
    here = LiveRoutes(hub)
    return [Route("/api/live", here.live), Route("/api/stream", here.stream)]


class LiveRoutes:
    """What a page that shows the present asks for."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def live(self, request: Request) -> Response:
        """Return the last rows of the session that is shown; with ``since`` those behind a cursor, and more of each."""
        since = request.query_params.get("since")
        folder = self._hub.look()
        if folder is None:
            more = {"cursor": "", "session": None, "pair": None, "reset": True, "hello": no_hello(self._hub.desk)}
            content: dict[str, Any] = (
                {"rows": []} if since is None else {"rows": [], **more, "state": no_state(self._hub.desk)}
            )
            return _json(content)
        async with self._hub.use(folder) as feed:
            pair = pair_of(request) or feed.default_pair()
            return _json({"rows": _last(feed, pair)} if since is None else _since(feed, pair, since))

    async def stream(self, request: Request) -> Response:
        """Return the stream of events."""
        query = request.query_params
        name = query.get("session")
        folder = self._hub.desk.session_dir(name) if name else None
        cursor = parse(request.headers.get("last-event-id") or query.get("cursor"))
        wanted = Wanted(folder, pair_of(request), seconds_of(query.get("backfill_s")), cursor)
        if folder is not None and cursor is not None and await self._is_over(wanted):
            return Response(status_code=204)  # tells a browser not to come back
        if self._hub.viewers >= MOST_VIEWERS:
            raise Refusal(429, f"found {MOST_VIEWERS} streams already", headers={"Retry-After": "5"})
        return EventStream(self._hub, wanted)

    async def _is_over(self, wanted: Wanted) -> bool:
        assert wanted.folder is not None
        async with self._hub.use(wanted.folder) as feed:
            return bool(feed.ended) and feed.resume_at(wanted.cursor) == feed.end


def _last(feed: Feed, pair: Pair | None) -> list[dict[str, Any]]:
    """Return the last rows as the documents promise them."""
    if pair not in feed.ring.pairs:
        return []
    frames = feed.ring.pairs[pair].frames
    return _rows(frames, max(0, len(frames) - LAST_ROWS), len(frames), ("lat_ms", "power_w"))


def _since(feed: Feed, pair: Pair | None, since: str) -> dict[str, Any]:
    start_at = feed.resume_at(parse(since))
    frames = feed.ring.pairs[pair].frames if pair in feed.ring.pairs else Frames()
    first = max(0, len(frames) - LAST_ROWS) if start_at is None else frames.find(start_at)
    last = min(len(frames), first + PIECE_ROWS)
    end = frames.at[last] if last < len(frames) else feed.end
    found: dict[str, Any] = {
        "rows": _rows(frames, first, last, ("t_ms", "at", "lat_ms", "power_w", "energy_j", "frame", "unc_ms", "why")),
        "cursor": str(feed.cursor_at(end) or ""),
        "session": feed.name,
        "pair": pair,
        "reset": start_at is None,
        "state": feed.state(),
    }
    if start_at is None:
        found["hello"] = feed.hello(reset=True)
    return found


def _rows(frames: Frames, first: int, last: int, names: tuple[str, ...]) -> list[dict[str, Any]]:
    columns = frames.slice(first, last)
    times = columns["t_ms"]
    return [
        {"t": round((times[i] - times[0]) / 1000, 6), **{name: columns[name][i] for name in names}}
        for i in range(len(times))
    ]


def pair_of(request: Request) -> Pair | None:
    """Return the pair a request names: ``pair=a,b``, or two values where a stage has a comma. Raises Refusal (400)."""
    given = request.query_params.getlist("pair")
    stages = given[0].split(",") if len(given) == 1 else given
    if not given:
        return None
    if len(stages) != 2 or not all(stages):
        raise Refusal(400, f"pair: found {','.join(given)[:80]!r}, expected FROM,TO (or pair=FROM&pair=TO)")
    return stages[0], stages[1]


def seconds_of(text: str | None) -> float:
    """Return how many seconds of the past are told first. Raises Refusal (400)."""
    most = KEEP_MS / 1000
    try:
        seconds = float(most if text is None else text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 86_400:
        raise Refusal(400, f"backfill_s: found {text!r:.40}, expected seconds, 0 to {most:g}")
    return min(seconds, most)


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json", headers={"Cache-Control": "no-store"})
