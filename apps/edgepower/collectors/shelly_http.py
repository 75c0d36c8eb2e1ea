"""Reading a Shelly over HTTP: one connection, a list of paths that only read, and the password of its generation.

Gen1 asks for Basic, later ones for Digest with SHA-256 (RFC 7616); a device that knows Digest never gets the password
in the clear. Switching a Shelly is a GET too, so no path may be sent that is not on the list.
"""

from __future__ import annotations

import base64
import http.client
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, monotonic_ns
from typing import Any

import msgspec

from benchlab.boards.command import Forbidden
from benchlab.daemon import Absent, Transient
from benchlab.daemon.schedule import Backoff

READ_PATHS = frozenset({"/shelly", "/status", "/rpc/Shelly.GetStatus"})
"""All that is ever asked of a Shelly."""

_LARGEST_B = 1 << 18
_PASSWORD_FIX = "set shelly.password_file to a file that holds its password"


class ShellyHttp:
    """One device. ``password`` is asked for when the device wants one; None means that there is none.

    ``user`` is that of Gen1; later generations know ``admin`` only. Not safe for several threads at once.
    """

    def __init__(
        self,
        host: str,
        password: Callable[[], str | None],
        now_ns: Callable[[], int],
        *,
        user: str = "admin",
        timeout_s: float = 1.5,
    ) -> None:
        self._host = host
        self._password = password
        self._now_ns = now_ns
        self._user = user
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._authorise: Callable[[str], str] | None = None
        self._backoff = Backoff(60.0, 600.0)
        self._is_closed = False
        self._refused: tuple[str, str] | None = None
        self._refused_until_ns = 0
        self.begin_ns = 0
        self.end_ns = 0

    def get(self, path: str, *, may_be_basic: bool = False) -> Any:
        """Return the JSON at a path; ``begin_ns`` and ``end_ns`` are then when it was asked for and answered.

        Raises Forbidden for a path that is not on the list, Absent where the password is missing or wrong (asked again
        only after a minute or more: a device locks out who guesses), Transient for anything that may pass.
        """
        if path not in READ_PATHS:
            raise Forbidden(f"{path}: not one of {', '.join(sorted(READ_PATHS))}")
        if self._refused is not None and monotonic_ns() < self._refused_until_ns:
            raise Absent(*self._refused)
        deadline_s = monotonic() + self._timeout_s
        status, challenge, body = self._exchange(path, deadline_s)
        if status == 401:
            self._take_challenge(challenge, may_be_basic)
            status, challenge, body = self._exchange(path, deadline_s)
            if status == 401:
                self._authorise = None
                raise self._refuse(f"{self._host} refuses the password", "correct the password; " + _PASSWORD_FIX)
        self._refused = None
        self._backoff.reset()
        return self._decoded(path, status, body)

    def close(self) -> None:
        """End the connection for good, also under a request of another thread: that one fails with Transient."""
        self._is_closed = True
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        """Close the connection; the next request opens one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange(self, path: str, deadline_s: float) -> tuple[int, str, bytes]:
        """Send a request and return status, challenge and body; once more if a kept connection turns out dead."""
        kept = self._connection is not None
        try:
            return self._once(path, deadline_s)
        except (ConnectionError, http.client.BadStatusLine, http.client.CannotSendRequest) as error:
            self._drop()
            if not kept or self._is_closed:
                raise self._transient(path, error) from None
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise self._transient(path, error) from None
        try:
            return self._once(path, deadline_s)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise self._transient(path, error) from None

    def _once(self, path: str, deadline_s: float) -> tuple[int, str, bytes]:
        connection = self._connected(deadline_s)
        headers = {"Accept": "application/json"}
        if self._authorise is not None:
            headers["Authorization"] = self._authorise(path)
        self.begin_ns = self._now_ns()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = b""
        while chunk := response.read1(_LARGEST_B):
            body += chunk
            if len(body) > _LARGEST_B:
                raise http.client.HTTPException(f"an answer of more than {_LARGEST_B >> 10} KiB")
            self._limit(connection, deadline_s)
        self.end_ns = self._now_ns()
        response.close()  # read1 leaves an answer open that it has read to its end
        if response.will_close:
            self._drop()
        return response.status, response.headers.get("WWW-Authenticate", ""), body

    def _connected(self, deadline_s: float) -> http.client.HTTPConnection:
        if self._is_closed:
            raise ConnectionError("closed")
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, timeout=max(0.05, deadline_s - monotonic()))
            self._connection.connect()
        self._limit(self._connection, deadline_s)
        return self._connection

    def _limit(self, connection: http.client.HTTPConnection, deadline_s: float) -> None:
        left_s = deadline_s - monotonic()
        if left_s <= 0:
            raise TimeoutError
        if connection.sock is not None:
            connection.sock.settimeout(left_s)

    def _take_challenge(self, challenge: str, may_be_basic: bool) -> None:
        scheme, _, fields = challenge.partition(" ")
        password = self._password()
        if password is None:
            raise self._refuse(f"{self._host} wants a password", _PASSWORD_FIX)
        if scheme.lower() == "digest":
            self._authorise = self._digest(fields, password)
        elif scheme.lower() == "basic" and may_be_basic:
            token = base64.b64encode(f"{self._user}:{password}".encode()).decode()
            self._authorise = lambda path: f"Basic {token}"
        else:
            wanted = "Basic or Digest" if may_be_basic else "Digest"
            raise self._refuse(f"{self._host} asks for {scheme or 'nothing'}, expected {wanted}", "")

    def _digest(self, fields: str, password: str) -> Callable[[str], str]:
        from edgepower.collectors.digest_auth import authoriser  # only devices with a password need it

        try:
            return authoriser(fields, "admin", password)
        except ValueError as error:
            raise self._refuse(f"{self._host} asks for Digest: {error}", "update its firmware") from None

    def _refuse(self, reason: str, fix: str) -> Absent:
        self._refused = reason, fix
        self._refused_until_ns = monotonic_ns() + self._backoff.next_ns()
        return Absent(reason, fix)

    def _decoded(self, path: str, status: int, body: bytes) -> Any:
        if status != 200:
            shown = body[:120].decode("utf-8", "backslashreplace")
            raise Transient(f"{self._host}{path}: found HTTP {status} {shown!r}, expected 200")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Transient(f"{self._host}{path}: found no JSON ({error})") from None

    def _transient(self, path: str, error: Exception) -> Transient:
        what = f"no answer within {self._timeout_s:g} s" if isinstance(error, TimeoutError) else str(error)
        return Transient(f"{self._host}{path}: {what or type(error).__name__}")
