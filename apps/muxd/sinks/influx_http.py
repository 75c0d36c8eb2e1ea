"""The HTTP client of the InfluxDB sink: one connection, bounded bodies, and every failure as what is to be done."""

from __future__ import annotations

import gzip
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx2
import msgspec

from benchlab.influx import port_hint
from muxd.sinks.sink import Transient

CONNECT_S = 3.0
IDLE_S = 10.0  # that a server may take over a part of a request or an answer
WHOLE_S = 30.0  # that it may take over all of an answer
LARGEST_ANSWER = 8 << 20
LONGEST_RETRY_S = 3600.0
GZIP_LEVEL = 1  # of a line's bytes it saves nine tenths; more effort saves little more

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request


class Answer(NamedTuple):
    """What a server said; ``words`` is its error message, "" where it gave none that is InfluxDB's."""

    status: int
    words: str
    document: Any


class Denied(Transient):
    """The server wants another token, or one at all."""


class Client:
    """Talks to one server. ``headers`` is asked for those of every request once a connection."""

    def __init__(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        *,
        transport: httpx2.BaseTransport | None = None,
        idle_s: float = IDLE_S,
        whole_s: float = WHOLE_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = headers
        self._transport = transport
        self._idle_s = idle_s
        self._whole_s = whole_s
        self._client: httpx2.Client | None = None

    def write(self, path: str, params: Mapping[str, str], body: bytes) -> Answer:
        """Post lines, compressed. Raises Transient, Denied."""
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        return self._exchange("POST", path, params, gzip.compress(body, GZIP_LEVEL, mtime=0), headers)

    def ask(self, method: str, path: str, params: Mapping[str, str], document: object = None) -> Answer:
        """Send a request that writes no lines. Raises Transient, Denied."""
        body = b"" if document is None else msgspec.json.encode(document)
        headers = {} if document is None else {"Content-Type": "application/json"}
        return self._exchange(method, path, params, body, headers)

    def close(self) -> None:
        """Let go of the connection; the next request makes a new one, with the token as it is then."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _exchange(
        self, method: str, path: str, params: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        try:
            with self._connected().stream(
                method, self._url + path, params=dict(params), content=body, headers=dict(headers)
            ) as response:
                answer = _answer(response.status_code, self._read(response))
                retry_after = response.headers.get("Retry-After")
        except httpx2.TransportError as error:
            self.close()
            raise Transient(self._unreachable(error)) from error
        except (httpx2.DecodingError, httpx2.InvalidURL) as error:
            raise Transient(f"{self._url}: {error}") from error
        if answer.status in (401, 403):
            self.close()
            raise Denied(f"{self._url} answers {_said(answer)}")
        if answer.status == 429 or answer.status >= 500:
            raise Transient(f"{self._url} answers {_said(answer)}", _seconds(retry_after))
        return answer

    def _connected(self) -> httpx2.Client:
        if self._client is None:
            self._client = httpx2.Client(
                headers=dict(self._headers()),
                timeout=httpx2.Timeout(self._idle_s, connect=min(CONNECT_S, self._idle_s)),
                trust_env=False,  # no proxy stands between this host and itself
                verify=ssl.create_default_context() if self._url.startswith("https:") else False,
                transport=self._transport,
            )
        return self._client

    def _read(self, response: httpx2.Response) -> bytes:
        """Return the body as far as it may be long. Raises httpx2.ReadTimeout when it takes too long."""
        deadline = time.monotonic() + self._whole_s
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > LARGEST_ANSWER:
                break
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout(f"the answer took more than {self._whole_s:g} s")
        return bytes(body[:LARGEST_ANSWER])

    def _unreachable(self, error: httpx2.TransportError) -> str:
        said = f"no answer from {self._url} ({error or type(error).__name__})"
        return said + port_hint(self._url) if isinstance(error, httpx2.ConnectError) else said


def _answer(status: int, body: bytes) -> Answer:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Answer(status, "", None)
    told = document if isinstance(document, dict) else {}
    words = next((told[key] for key in ("error", "message") if isinstance(told.get(key), str)), "")
    return Answer(status, words, document)


def _said(answer: Answer) -> str:
    return f"{answer.status} ({answer.words[:300]})" if answer.words else str(answer.status)


def _seconds(retry_after: str | None) -> float | None:
    """Return what a Retry-After header asks for, in seconds or as a date; None if it says nothing."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_S) if seconds == seconds else None
