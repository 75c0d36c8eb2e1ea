"""Who may use the management API: this host without more ado, others with a token, nobody too often."""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from benchlab.errors import Exit, Fault
from benchlab.httpd import Refusal, Request
from benchlab.token_file import read_token

TOKEN_VARIABLE = "EDGEPOWER_TOKEN"
CHANGES_A_MINUTE = 120
GUARDED = ("/config",)
"""What needs the token even to be read."""


class Access:
    """Refuses requests: 401 without the token, 403 from a web page, 429 above ``CHANGES_A_MINUTE``."""

    def __init__(self, token: str, clock: Callable[[], float] = monotonic) -> None:
        self._token = token
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(CHANGES_A_MINUTE)
        self._at_s = clock()

    def check(self, request: Request) -> None:
        """Raise Refusal if the request may not be served."""
        if request.method == "GET" and request.path not in GUARDED:
            return
        if request.method != "GET" and request.headers.get("Origin"):
            raise Refusal(403, "found a request of a web page, expected one of a program")
        if self._token and not self._bears_token(request):
            raise Refusal(401, "expected Authorization: Bearer with the token", headers={"WWW-Authenticate": "Bearer"})
        if request.method != "GET" and not self._is_in_time():
            message = f"found more than {CHANGES_A_MINUTE} requests a minute that change something"
            raise Refusal(429, message, headers={"Retry-After": "1"})

    def _bears_token(self, request: Request) -> bool:
        from hmac import compare_digest  # with OpenSSL, for those who have a token

        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), self._token.encode())

    def _is_in_time(self) -> bool:
        with self._lock:
            now_s = self._clock()
            gained = (now_s - self._at_s) * CHANGES_A_MINUTE / 60
            self._left, self._at_s = min(self._left + gained, CHANGES_A_MINUTE), now_s
            if self._left < 1:
                return False
            self._left -= 1
            return True


def token_of(host: str, token_file: str, env: Mapping[str, str] = os.environ) -> str:
    """Return the token, empty if there is none. Raises Fault (CONFIG) if the address needs one."""
    token = env.get(TOKEN_VARIABLE, "") or (read_token(Path(token_file)) if token_file else "")
    if not token and not is_loopback(host):
        raise Fault(
            f"[edgepower].management_bind: found {host}, expected a loopback address such as 127.0.0.1, "
            f"or a token in {TOKEN_VARIABLE} or in the file [edgepower].token_file names",
            Exit.CONFIG,
        )
    return token


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this host only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
