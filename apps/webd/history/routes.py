"""``/api/sessions`` and what lies below it. All work is done by a few threads, never on the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from benchlab.query.aligned import LATENCY_FILE, SIGNALS_FILE, Pair
from benchlab.query.latency import Window
from benchlab.query.latency_index import PairTotals
from benchlab.query.pair_rows import PairRows
from benchlab.query.segments import extent
from benchlab.query.signal_index import Address
from benchlab.query.signals import Series
from webd.desk import Desk
from webd.errors import Refusal
from webd.history import answers
from webd.history.asked import Stretch, flag_of, page_of, points_of, stretch_of
from webd.history.exports import Chosen, Pieces, capframex_pieces, csv_pieces, file_name
from webd.history.listing import Listing
from webd.history.shelf import PATIENCE_S, History, Shelf, answer
from webd.live.routes import pair_of

T = TypeVar("T")

ANSWERS_AT_ONCE = 2
EXPORTS_AT_ONCE = 2
MOST_VALUES = 200_000


def routes(desk: Desk, shelf: Shelf) -> list[Route]:
    """Return the routes over the sessions of a desk."""
    here = _Routes(desk, shelf)
    return [
        Route("/api/sessions", here.sessions),
        Route("/api/sessions/{name}", here.session),
        Route("/api/sessions/{name}/latency", here.latency),
        Route("/api/sessions/{name}/signals", here.signals),
        Route("/api/sessions/{name}/export.csv", here.export_csv),
        Route("/api/sessions/{name}/export.capframex.json", here.export_capframex),
    ]


class _Routes:
    def __init__(self, desk: Desk, shelf: Shelf) -> None:
        self._desk = desk
        self._shelf = shelf
        self._listing = Listing(desk, self._shelf)
        self._answering = _Threads(ANSWERS_AT_ONCE)
        self._exporting = _Threads(EXPORTS_AT_ONCE)

    async def sessions(self, request: Request) -> Response:
        """Return a page of the list of sessions."""
        limit, offset = page_of(request)
        sought = request.query_params.get("q", "")
        return _json(await self._answering.run(partial(self._listing.page, sought, limit, offset)))

    async def session(self, request: Request) -> Response:
        """Return all about one session."""
        return _json(await self._answering.run(partial(self._listing.session, request.path_params["name"])))

    async def latency(self, request: Request) -> Response:
        """Return the latency of a pair in a stretch of time."""
        pair, asked, points = pair_of(request), stretch_of(request), points_of(request)
        return _json(
            await self._answering.run(partial(self._latency, request.path_params["name"], pair, asked, points))
        )

    async def signals(self, request: Request) -> Response:
        """Return which signals there are, and those that are asked for in a stretch of time."""
        wanted = _Wanted(request), stretch_of(request), points_of(request)
        return _json(await self._answering.run(partial(self._signals, request.path_params["name"], *wanted)))

    async def export_csv(self, request: Request) -> Response:
        """Send the rows of a pair as CSV."""
        asked, plain = stretch_of(request), flag_of(request, "plain")
        chosen = await self._choice(request)
        pieces = partial(csv_pieces, chosen, asked, plain)
        name = file_name(chosen.session.name, chosen.pair, ".csv")
        return await self._exporting.attachment(chosen.history, pieces, name, "text/csv; charset=utf-8")

    async def export_capframex(self, request: Request) -> Response:
        """Send a pair as CapFrameX JSON."""
        asked = stretch_of(request)
        chosen = await self._choice(request)
        pieces = partial(capframex_pieces, chosen, asked, self._desk.config)
        name = file_name(chosen.session.name, chosen.pair, ".capframex.json")
        return await self._exporting.attachment(chosen.history, pieces, name, "application/json")

    async def _choice(self, request: Request) -> Chosen:
        return await self._answering.run(partial(self._chosen, request.path_params["name"], pair_of(request)))

    def _latency(self, name: str, pair: Pair | None, asked: Stretch, points: int) -> dict[str, Any]:
        history = self._shelf.history(self._desk.session_dir(name))
        pairs, share = self._listing.pairs(history, PATIENCE_S)
        chosen = pair if pair is not None else next(iter(pairs), None)
        _check_pair(chosen, pairs, share)
        window, total = Window(PairRows()), PairTotals()
        if chosen in pairs:
            total = pairs[chosen]
            window = answer(history, lambda h: h.latency.window(chosen, asked.from_ns, asked.to_ns, points))
        found = answers.latency(chosen, total, asked, window, points)
        is_provisional = extent(history.folder, LATENCY_FILE).is_provisional
        return {"session": name, **found, "provisional": is_provisional, "indexing": share}

    def _signals(self, name: str, wanted: _Wanted, asked: Stretch, points: int) -> dict[str, Any]:
        history = self._shelf.history(self._desk.session_dir(name))
        share = answer(history, lambda h: self._shelf.indexed(h, SIGNALS_FILE))
        available = answer(history, lambda h: h.signals.available())
        chosen = [address for address in available if wanted(address)]
        if len(chosen) * points > MOST_VALUES:
            most = max(1, MOST_VALUES // points)
            raise Refusal(400, f"found {len(chosen)} signals of {points} points, expected at most {most}")
        series: list[Series] = []
        if chosen:
            is_one = frozenset(chosen).__contains__
            series = answer(history, lambda h: h.signals.window(is_one, asked.from_ns, asked.to_ns, points))
        return {"session": name, **answers.signals(available, series), "indexing": share}

    def _chosen(self, name: str, pair: Pair | None) -> Chosen:
        """Return what is to be exported. Raises Refusal (404) where there is nothing."""
        session = self._desk.session(name)
        history = self._shelf.history(session.dir)
        pairs, share = self._listing.pairs(history, PATIENCE_S)
        chosen = pair if pair is not None else next(iter(pairs), None)
        if chosen is None:
            raise Refusal(404, f"session {name} has no pair yet: is muxd running?")
        _check_pair(chosen, pairs, share)
        return Chosen(history, session, chosen, pairs.get(chosen, PairTotals()))


class _Wanted:
    """Which signals are asked for: any of the sources, devices and keys that are named; none where none is named."""

    def __init__(self, request: Request) -> None:
        query = request.query_params
        self._sources, self._devs, self._keys = (set(query.getlist(name)) for name in ("source", "dev", "key"))

    def __call__(self, address: Address) -> bool:
        source, dev, key = address
        named = self._sources or self._devs or self._keys
        fits = [
            not wanted or value in wanted
            for wanted, value in ((self._sources, source), (self._devs, dev), (self._keys, key))
        ]
        return bool(named) and all(fits)


class _Threads:
    """A few threads for work that waits for disks; whoever comes when all are busy waits for one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limiter: CapacityLimiter | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._most)
        return await to_thread.run_sync(work, limiter=self._limiter)

    async def attachment(self, history: History, make: Callable[[], Pieces], name: str, kind: str) -> Response:
        """Return a file that is made as it is sent; what fails before its first bytes is an answer of its own."""
        first, pieces = await self.run(lambda: answer(history, lambda _: _begun(make())))
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingResponse(self._sent(first, pieces), headers=headers, media_type=kind)

    async def _sent(self, first: bytes, pieces: Pieces) -> AsyncIterator[bytes]:
        piece: bytes | None = first
        try:
            while piece:
                yield piece
                piece = await self.run(partial(next, pieces, None))
        finally:
            pieces.close()  # its files are closed and removed


def _begun(pieces: Pieces) -> tuple[bytes, Pieces]:
    return next(pieces, b""), pieces


def _check_pair(pair: Pair | None, pairs: dict[Pair, PairTotals], share: float) -> None:
    """Raise Refusal (404) for a pair that a session has not; one that is not indexed yet may still turn up."""
    if pair is None or pair in pairs or share < 1:
        return
    listed = "; ".join(" to ".join(one) for one in pairs) or "none yet"
    raise Refusal(404, f"found no pair {' to '.join(pair)[:80]!r}, expected one of the session's: {listed}")


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json", headers={"Cache-Control": "no-store"})
