"""The application: which routes there are and what stands before all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from benchlab import __version__
from benchlab.product import dashboard_dir
from webd import openapi, remarks, sources
from webd.desk import Desk
from webd.errors import Refusal, answer_error, answer_refusal
from webd.history import routes as history
from webd.history.shelf import Shelf
from webd.live import routes as live
from webd.live.hub import Hub
from webd.pages import Pages
from webd.security import Access, Guard, answer_failure
from webd.vms import routes as vms

GZIP_FROM = 1024
GZIP_LEVEL = 4


def make_app(desk: Desk, access: Access | None = None, static_dir: Path | None = None) -> Starlette:
    """Return the dashboard and its API over the sessions of a desk; ``state.stop`` ends the open streams."""
    hub = Hub(desk)
    shelf = Shelf()
    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        *live.routes(hub),
        *openapi.routes(),
        *sources.routes(desk),
        *remarks.routes(desk),
        *history.routes(desk, shelf),
        *vms.routes(desk),
    ]
    handlers: dict[Any, Callable[..., Any]] = {
        Refusal: answer_refusal,
        HTTPException: answer_error,
        Exception: answer_failure,
    }
    before = [
        Middleware(Guard, access=access or Access()),
        Middleware(GZipMiddleware, minimum_size=GZIP_FROM, compresslevel=GZIP_LEVEL),
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with hub.running(), shelf.keeping(desk.current):
            yield

    app = Starlette(routes=routes, middleware=before, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.router.default = Pages(static_dir or dashboard_dir())
    app.state.stop = hub.stop
    return app


async def healthz(request: Request) -> JSONResponse:
    """Say that the program answers."""
    return JSONResponse({"status": "ok", "version": __version__})
