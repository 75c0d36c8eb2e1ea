"""Who may use the management API: this host without more ado, others with a token, nobody too often."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from benchlab.access import RateLimit, TokenRule, bears_token
from benchlab.httpd import Refusal, Request

TOKEN_VARIABLE = "EDGEPOWER_TOKEN"
TOKEN = TokenRule(TOKEN_VARIABLE, "[edgepower].management_bind", "[edgepower].token_file")
CHANGES_A_MINUTE = 120
GUARDED = ("/config",)
"""What needs the token even to be read."""


class Access:
    """Refuses requests: 401 without the token, 403 from a web page, 429 above ``CHANGES_A_MINUTE``."""

    def __init__(self, token: str, clock: Callable[[], float] = monotonic) -> None:
        self._token = token
        self._limit = RateLimit(CHANGES_A_MINUTE, clock)

    def check(self, request: Request) -> None:
        """Raise Refusal if the request may not be served."""
        if request.method == "GET" and request.path not in GUARDED:
            return
        if request.method != "GET" and request.headers.get("Origin"):
            raise Refusal(403, "found a request of a web page, expected one of a program")
        if self._token and not bears_token(request.headers.get("Authorization", ""), self._token):
            raise Refusal(401, "expected Authorization: Bearer with the token", headers={"WWW-Authenticate": "Bearer"})
        if request.method != "GET" and not self._limit.take():
            message = f"found more than {CHANGES_A_MINUTE} requests a minute that change something"
            raise Refusal(429, message, headers={"Retry-After": "1"})
