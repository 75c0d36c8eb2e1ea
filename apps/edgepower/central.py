"""Client of the central config server: what it says of this device, and what it is told."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from edgepower.plain_http import add_tls

MAX_BYTES = 1 << 20


class Unreachable(Exception):
    """The server did not answer as it should: try later."""


class Denied(Exception):
    """The server refuses this client, or what it was sent; trying again would change nothing."""


class Central:
    """The server's document of one device, GET, PATCH and PUT of ``/config/{device_id}``.

    ``token`` is sent as ``Authorization: Bearer``, if there is one. All methods raise Unreachable and Denied.
    """

    def __init__(self, url: str, device_id: str, timeout_s: float, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._address = f"{self.url}/config/{quote(device_id, safe='')}"
        self._timeout_s = timeout_s
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self) -> dict[str, Any] | None:
        """Return the server's document, None if it does not know this device."""
        found = self._ask("GET")
        if found is not None and not isinstance(found, dict):
            raise Unreachable(f"{self._address} answers with {type(found).__name__}, expected an object")
        return found

    def patch(self, changes: Mapping[str, Any]) -> None:
        """Change some keys of the server's document."""
        self._ask("PATCH", changes)

    def register(self, document: Mapping[str, Any]) -> None:
        """Make the server know this device, and where it is reached."""
        self._ask("PUT", {**document, "ip_address": self._own_address()})

    def _ask(self, method: str, content: Mapping[str, Any] | None = None) -> Any:
        """Return what the server answers, None for a GET of what it does not know."""
        add_tls()  # an http: server may redirect
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen  # 6 MB with OpenSSL, for those who have a server

        body = None if content is None else json.dumps(content).encode()
        try:
            with urlopen(Request(self._address, body, self._headers, method=method), timeout=self._timeout_s) as answer:
                return json.loads(answer.read(MAX_BYTES))
        except HTTPError as error:
            with error:
                said = " ".join(error.read(300).decode("utf-8", "replace").split())
            if method == "GET" and error.code == 404:
                return None
            raise _failure(f"{self._address}: {error.code} {said}", error.code) from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise Unreachable(f"{self._address}: {getattr(error, 'reason', error)}") from None

    def _own_address(self) -> str:
        """Return the address by which the server can reach this host."""
        there = urlsplit(self.url)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
                link.connect((there.hostname or "localhost", there.port or 80))  # sends nothing
                found: str = link.getsockname()[0]
                return found
        except OSError as error:
            raise Unreachable(f"{self.url}: {error}") from None


def _failure(message: str, status: int) -> Exception:
    is_final = 400 <= status < 500 and status not in (408, 429)
    return Denied(message) if is_final else Unreachable(message)
