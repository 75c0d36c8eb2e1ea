"""Requests that are not fulfilled: one exception, one form of answer."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchlab.httpd import Refusal

__all__ = ["Refusal", "answer_error", "answer_refusal"]


async def answer_refusal(request: Request, error: Exception) -> JSONResponse:
    """Answer a Refusal as JSON ``{"error": ...}``."""
    assert isinstance(error, Refusal)
    return JSONResponse(error.content, error.status, headers=error.headers)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what Starlette itself refuses (a path it has not, a method it does not serve) in the same form."""
    assert isinstance(error, HTTPException)
    said = {
        404: f"found nothing at {request.url.path}, expected a path of /openapi.json",
        405: f"found {request.method}, expected {(error.headers or {}).get('Allow', 'GET')}",
    }
    return JSONResponse({"error": said.get(error.status_code, error.detail)}, error.status_code, headers=error.headers)
