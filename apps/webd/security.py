"""What stands before every route: whose requests are served, how large and how often, and what a browser may do.

Source of the headers: the OWASP HTTP Headers Cheat Sheet; of the checks: its CSRF Prevention Cheat Sheet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchlab.access import RateLimit, TokenRule, bears_token, is_loopback
from webd.errors import Refusal

TOKEN = TokenRule("BENCHLAB_WEB_TOKEN", "[web].bind", "[web].token_file")
CHANGES_A_MINUTE = 120
MOST_BODY = 16 * 1024

SAFE = ("GET", "HEAD")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Sent with everything; a page of the dashboard has a policy of its own."""


@dataclass(frozen=True)
class Access:
    """Who may do what: ``token`` empty asks for none; ``local`` serves this host only, under this host's own names."""

    token: str = ""
    local: bool = True
    limit: RateLimit = field(default_factory=lambda: RateLimit(CHANGES_A_MINUTE))

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Raise Refusal if a request may not be served."""
        if self.local and not is_name_of_loopback(headers.get("host", "")):
            found = headers.get("host", "")[:80]
            raise Refusal(403, f"Host: found {found!r}, expected a name of this host such as 127.0.0.1 or localhost")
        fetched_by = headers.get("sec-fetch-site", "none")
        if method in SAFE:
            if path.startswith("/api/") and fetched_by == "cross-site":
                raise Refusal(403, "found a request of another site's page, expected one of the dashboard")
            return
        if fetched_by not in ("same-origin", "none") or not _is_own_origin(headers):
            raise Refusal(403, "found a request of another site's page, expected one of the dashboard")
        if self.token and not bears_token(headers.get("authorization", ""), self.token):
            raise Refusal(401, "expected Authorization: Bearer with the token", headers={"WWW-Authenticate": "Bearer"})
        if not self.limit.take():
            message = f"found more than {CHANGES_A_MINUTE} requests a minute that change something"
            raise Refusal(429, message, headers={"Retry-After": "1"})


class Guard:
    """Middleware that refuses what ``Access`` does not let pass, and sends ``HEADERS`` with every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, method = Headers(scope=scope), scope["method"]
        try:
            self._access.check(method, scope["path"], headers)
            if method not in SAFE:
                check_length(headers)
        except Refusal as refusal:
            answer = JSONResponse(refusal.content, refusal.status, headers={**refusal.headers, "Connection": "close"})
            await answer(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send))


async def answer_failure(request: Request, error: Exception) -> JSONResponse:
    """Answer where the program itself failed; what happened is in its log. It stands before ``Guard`` even."""
    return JSONResponse({"error": "webd failed over this request: its log says why"}, 500, headers=HEADERS)


def check_length(headers: Mapping[str, str]) -> None:
    """Raise Refusal (413, 400) if the length that a body is said to have is none, or too much."""
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdigit()):
        raise Refusal(400, f"Content-Length: found {declared[:20]!r}, expected a number")
    if int(declared) > MOST_BODY:
        raise Refusal(413, f"found a body of {int(declared)} bytes, expected at most {MOST_BODY}")


def is_name_of_loopback(host: str) -> bool:
    """Return whether a header ``Host`` names this host itself: no name that some DNS server made up for its address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name.endswith(".localhost")


def page_policy(script_hashes: list[str]) -> str:
    """Return the Content-Security-Policy of a page: scripts of this server, and the inline ones that it was built with.

    Styles may be inline: charts are laid out by them, and they carry no code.
    """
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in script_hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _is_own_origin(headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from a page of this server, or of no page at all.

    A proxy tells the name that the browser used in X-Forwarded-Host, which no page of another site can set.
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc in (headers.get("host"), headers.get("x-forwarded-host"))


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped
