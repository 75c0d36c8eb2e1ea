"""The application: which routes there are and what stands before all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from benchlab import __version__
from webd.desk import Desk
from webd.errors import Refusal, answer_error, answer_refusal
from webd.live.hub import Hub
from webd.live.routes import routes as live


def make_app(desk: Desk) -> Starlette:
    """Return the dashboard and its API over the sessions of a desk."""
    hub = Hub(desk)
    routes: list[BaseRoute] = [Route("/healthz", healthz), *live(hub)]
    handlers = {Refusal: answer_refusal, HTTPException: answer_error}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with hub.running():
            yield

    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.state.stop = hub.stop
    return app


async def healthz(request: Request) -> JSONResponse:
    """Say that the program answers."""
    return JSONResponse({"status": "ok", "version": __version__})
