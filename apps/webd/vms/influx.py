"""Fields of virtual machines from InfluxDB, where ``[influx].query`` says so. InfluxQL, which all versions understand.

Version 1 and 2 answer ``/query``, version 3 ``/api/v3/query_influxql``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from benchlab.config_schema import Influx
from benchlab.influx import authorization, identifier, literal, port_hint
from benchlab.query.signal_index import Span
from webd.errors import Refusal
from webd.vms.columns import FEATURES, METRICS, Found, source_of

TIMEOUT_S = 10.0
Ask = Callable[[str, Mapping[str, str], Mapping[str, str]], Any]
"""Path, parameters, headers -> the document of an answer. Raises Refusal."""

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request


def from_influx(
    influx: Influx, uuid: str, key: str, from_ns: int, to_ns: int, points: int, ask: Ask | None = None
) -> Found:
    """Return a field between two times. Raises Refusal (502) if InfluxDB does not answer the question."""
    measurement, tag = place_of(key)
    times = f"time >= {from_ns} AND time < {to_ns}"
    where = f"FROM {identifier(measurement)} WHERE {identifier(tag)} = {literal(uuid)} AND {times}"
    server = _Server(influx, ask or over_http(influx))
    field = identifier(key)
    counted = server.rows(f"SELECT count({field}) AS n {where}")
    count = int(counted[0]["n"]) if counted else 0
    sim = bool(count and server.rows(f"SELECT {field} {where} AND \"sim\" = 'true' LIMIT 1"))
    if count <= points:
        rows = server.rows(f"SELECT {field} AS value {where}") if count else []
        return Found("influx", [(row["time"], row["value"]) for row in rows if row.get("value") is not None], None, sim)
    first, last = (server.rows(f"SELECT {field} {where} ORDER BY time {order} LIMIT 1") for order in ("ASC", "DESC"))
    if not first or not last:  # deleted meanwhile
        return Found("influx", sim=sim)
    return Found("influx", [], _spans(server, field, where, (first[0]["time"], last[0]["time"]), points), sim)


def _spans(server: _Server, field: str, where: str, ends: tuple[int, int], points: int) -> list[Span]:
    """Return equal steps from the first value to the last one: steps of the time asked for would lie beside them."""
    first_ns, last_ns = ends
    width_ns = -(-(last_ns - first_ns + 1) // points)
    parts = f"count({field}) AS n, min({field}) AS low, sum({field}) AS total, max({field}) AS high"
    rows = server.rows(f"SELECT {parts} {where} GROUP BY time({width_ns}ns, {first_ns % width_ns}ns) fill(none)")
    return [
        Span(
            max(row["time"], first_ns),
            min(row["time"] + width_ns - 1, last_ns),
            int(row["n"]),
            row["low"],
            row["total"],
            row["high"],
        )
        for row in rows
        if row.get("n")
    ]


def place_of(key: str) -> tuple[str, str]:
    """Return the measurement of a field and the tag that says which VM (docs/INFLUX.md)."""
    if key in METRICS:
        return "vm_metrics", "uuid"
    if key in FEATURES:
        return "vm_features", "uuid"
    return source_of(key).replace(".", "_"), "dev"


class _Server:
    """Asks in the way of one version."""

    def __init__(self, influx: Influx, ask: Ask) -> None:
        self._influx = influx
        self._ask = ask

    def rows(self, text: str) -> list[dict[str, Any]]:
        """Return the rows of an answer, their ``time`` in ns since 1970."""
        influx = self._influx
        headers = authorization(influx)
        try:
            if influx.api == "v3":
                params = {"db": influx.influx_db, "q": text, "format": "json"}
                found = self._ask("/api/v3/query_influxql", params, headers)
                return [{**row, "time": time_ns(row["time"])} for row in found]
            params = {"db": influx.influx_db, "q": text, "epoch": "ns"}
            (result,) = self._ask("/query", params, headers)["results"]
            if "error" in result:
                raise Refusal(502, f"InfluxDB at {influx.influx_url}: {result['error']}")
            return [
                dict(zip(series["columns"], row, strict=True))
                for series in result.get("series", [])
                for row in series["values"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(502, f"InfluxDB at {influx.influx_url}: found no answer to a query ({error!r})") from error


def over_http(influx: Influx) -> Ask:
    """Return what asks the server of the configuration."""

    def ask(path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        try:
            import httpx2
        except ImportError:
            raise Refusal(502, "[influx].query needs httpx2: pip install 'benchlab-linux-telemetry[influx]'") from None
        url = influx.influx_url.rstrip("/")
        try:
            with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client:
                answer = client.get(url + path, params=dict(params), headers=dict(headers))
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            hint = port_hint(url) if isinstance(error, httpx2.ConnectError) else ""
            raise Refusal(502, f"InfluxDB at {url} does not answer: {error}{hint}") from error
        if answer.status_code != 200:
            raise Refusal(502, f"InfluxDB at {url} answers {answer.status_code}: {answer.text[:200].strip()}")
        return answer.json()

    return ask


def time_ns(text: str) -> int:
    """Return a time as version 3 writes it (UTC, up to nine digits behind the point) in ns. Raises ValueError."""
    seconds, _, rest = text.rstrip("Z").partition(".")
    at = datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc)
    return int(at.timestamp()) * 1_000_000_000 + int((rest + "0" * 9)[:9])
