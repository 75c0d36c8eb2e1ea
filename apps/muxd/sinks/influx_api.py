"""The three write interfaces of InfluxDB: where lines go, how a database is made, how a refusal names its lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

from benchlab.influx import identifier, literal
from muxd.sinks.influx_http import Answer, Client

Params = dict[str, str]

_UNPARSED = re.compile(r"unable to parse '(.*?)': (.*?)(?=\nunable to parse '|\Z)", re.DOTALL)
_DROPPED = re.compile(r"\bdropped=([0-9]+)")


class Refusal(NamedTuple):
    """Why not all lines were taken: ``words`` in general, ``named`` those lines (from 0) that the server points at.

    ``dropped`` is how many it left out, None if it does not say.
    """

    words: str
    named: dict[int, str]
    dropped: int | None = None


class Api(Protocol):
    """One of the interfaces."""

    path: str
    params: Params

    def create(self, client: Client) -> Answer:
        """Make the database. Raises Transient, Denied."""

    def forget(self, client: Client, session: str) -> bool:
        """Delete the points that bear a session's tag, and return whether that could be. Raises Transient."""

    def refusal(self, answer: Answer, lines: Sequence[bytes]) -> Refusal:
        """Return what an answer 400 or 422 says about lines."""


class V1:
    """``/write`` of InfluxDB 1, which others understand as well."""

    def __init__(self, database: str) -> None:
        self.path = "/write"
        self.params = {"db": database, "precision": "ns"}
        self._database = database

    def create(self, client: Client) -> Answer:
        """Make the database. Raises Transient, Denied."""
        return self._query(client, f"CREATE DATABASE {identifier(self._database)}")

    def forget(self, client: Client, session: str) -> bool:
        """Delete the points that bear a session's tag, and return whether that could be. Raises Transient."""
        answer = self._query(client, f'DROP SERIES WHERE "session" = {literal(session)}')
        results = answer.document.get("results") if isinstance(answer.document, dict) else None
        return answer.status == 200 and results == [{"statement_id": 0}]  # others answer 200 to any question

    def refusal(self, answer: Answer, lines: Sequence[bytes]) -> Refusal:
        """Return what an answer 400 or 422 says about lines: those that it cannot parse are quoted."""
        return _quoted(answer.words, lines)

    def _query(self, client: Client, text: str) -> Answer:
        answer = client.ask("POST", "/query", {"db": self._database, "q": text})
        results = answer.document.get("results") if isinstance(answer.document, dict) else None
        told = results[0] if isinstance(results, list) and results and isinstance(results[0], dict) else {}
        return answer._replace(status=400, words=str(told["error"])) if "error" in told else answer


class V2:
    """``/api/v2/write`` of InfluxDB 2: the database is a bucket of an organization."""

    def __init__(self, bucket: str, org: str) -> None:
        self.path = "/api/v2/write"
        self.params = {"bucket": bucket, "precision": "ns", **({"org": org} if org else {})}
        self._bucket = bucket
        self._org = org

    def create(self, client: Client) -> Answer:
        """Make the bucket. Raises Transient, Denied."""
        found = client.ask("GET", "/api/v2/orgs", {"org": self._org} if self._org else {})
        orgs = found.document.get("orgs") if isinstance(found.document, dict) else None
        if found.status != 200 or not isinstance(orgs, list) or len(orgs) != 1:
            why = found.words or f"expected one organization of that name, found {len(orgs or [])}"
            return Answer(404, f"[influx].influx_org {self._org!r}: {why}", None)
        return client.ask("POST", "/api/v2/buckets", {}, {"orgID": orgs[0].get("id"), "name": self._bucket})

    def forget(self, client: Client, session: str) -> bool:
        """Delete the points that bear a session's tag, and return whether that could be. Raises Transient."""
        stop = datetime(2262, 1, 1, tzinfo=timezone.utc).isoformat().replace("+00:00", "Z")
        span = {"start": "1970-01-01T00:00:00Z", "stop": stop, "predicate": f'session="{session}"'}
        params = {key: value for key, value in self.params.items() if key != "precision"}
        return client.ask("POST", "/api/v2/delete", params, span).status == 204

    def refusal(self, answer: Answer, lines: Sequence[bytes]) -> Refusal:
        """Return what an answer 400 or 422 says about lines: those that it cannot parse are quoted."""
        return _quoted(answer.words, lines)


class V3:
    """``/api/v3/write_lp`` of InfluxDB 3, which takes the good lines of a batch and lists the others."""

    def __init__(self, database: str) -> None:
        self.path = "/api/v3/write_lp"
        self.params = {"db": database, "precision": "nanosecond", "accept_partial": "true", "no_sync": "false"}
        self._database = database

    def create(self, client: Client) -> Answer:
        """Make the database. Raises Transient, Denied."""
        return client.ask("POST", "/api/v3/configure/database", {}, {"db": self._database})

    def forget(self, client: Client, session: str) -> bool:
        """Return False: this version has no deletion of points."""
        return False

    def refusal(self, answer: Answer, lines: Sequence[bytes]) -> Refusal:
        """Return what an answer 400 or 422 says about lines, by their numbers in it."""
        data = answer.document.get("data") if isinstance(answer.document, dict) else None
        entries = [data] if isinstance(data, dict) else data if isinstance(data, list) else []
        named = dict(filter(None, (_numbered(entry, len(lines)) for entry in entries)))
        return Refusal(answer.words, named)


def api_of(name: str, database: str, org: str) -> Api:
    """Return the interface of ``[influx].api``."""
    if name == "v1":
        return V1(database)
    return V2(database, org) if name == "v2" else V3(database)


def _numbered(entry: Any, count: int) -> tuple[int, str] | None:
    if not isinstance(entry, dict):
        return None
    number, words = entry.get("line_number"), entry.get("error_message")
    if not isinstance(number, int) or not 1 <= number <= count:
        return None
    return number - 1, str(words)


def _quoted(words: str, lines: Sequence[bytes]) -> Refusal:
    dropped = _DROPPED.findall(words)
    said = {line.encode(): why.strip() for line, why in _UNPARSED.findall(words)}
    named = {at: said[line] for at, line in enumerate(lines) if line in said} if said else {}
    return Refusal(words, named, int(dropped[-1]) if dropped else None)
