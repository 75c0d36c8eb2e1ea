"""The application: which routes there are and what stands before all of them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from benchlab import __version__
from webd.desk import Desk
from webd.errors import Refusal, answer_error, answer_refusal


def make_app(desk: Desk) -> Starlette:
    """Return the dashboard and its API over the sessions of a desk."""
    routes: list[BaseRoute] = [Route("/healthz", healthz)]
    handlers = {Refusal: answer_refusal, HTTPException: answer_error}
    return Starlette(routes=routes, exception_handlers=handlers)


async def healthz(request: Request) -> JSONResponse:
    """Say that the program answers."""
    return JSONResponse({"status": "ok", "version": __version__})
