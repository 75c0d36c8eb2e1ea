"""The token rule: what changes something is for this host, or for those who bear the token; nobody too often."""

from __future__ import annotations

import ipaddress
import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from benchlab.errors import Exit, Fault


@dataclass(frozen=True)
class TokenRule:
    """How a program's token is given: the environment's ``variable``, and the keys of its address and its file."""

    variable: str
    bind_key: str
    file_key: str

    def token_of(self, host: str, token_file: str, env: Mapping[str, str] = os.environ) -> str:
        """Return the token, empty if there is none. Raises Fault (CONFIG) if the address needs one."""
        token = env.get(self.variable, "") or (_from_file(Path(token_file)) if token_file else "")
        if not token and not is_loopback(host):
            raise Fault(
                f"{self.bind_key}: found {host}, expected a loopback address such as 127.0.0.1, "
                f"or a token in {self.variable} or in the file {self.file_key} names",
                Exit.CONFIG,
            )
        return token


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this host only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bears_token(authorization: str, token: str) -> bool:
    """Return whether a header ``Authorization`` bears the token; how long that takes does not tell how much of it."""
    from hmac import compare_digest  # with OpenSSL, for those who have a token

    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), token.encode())


class RateLimit:
    """Lets ``a_minute`` requests through a minute, as many at once."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(a_minute)
        self._at_s = clock()

    def take(self) -> bool:
        """Return whether another one may pass now."""
        with self._lock:
            now_s = self._clock()
            gained = (now_s - self._at_s) * self._a_minute / 60
            self._left, self._at_s = min(self._left + gained, self._a_minute), now_s
            if self._left < 1:
                return False
            self._left -= 1
            return True


def _from_file(path: Path) -> str:
    try:
        if path.stat().st_mode & stat.S_IROTH:
            raise Fault(f"{path}: found a token that everybody may read, expected: chmod o-r {path}", Exit.CONFIG)
        first, _, _ = path.read_text().partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise Fault(f"{path}: the token cannot be read ({reason})", Exit.CONFIG) from error
    if not first.strip():
        raise Fault(f"{path}: found nothing in its first line, expected the token", Exit.CONFIG)
    return first.strip()
