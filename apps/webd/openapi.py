"""``/openapi.json``: the whole API for programs, in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchlab import __version__
from webd.live.feed import KEEP_MS
from webd.live.routes import LAST_ROWS
from webd.schemas import SCHEMAS

Part = dict[str, Any]

JSON = "application/json"
ERRORS = {
    "400": "What was asked makes no sense; the error says what was found and what was expected.",
    "401": "The token is missing or wrong.",
    "403": "A request of another site's page, or under a name that is not this host's.",
    "404": "There is no such session.",
    "409": "The session takes no bookmarks now; the error says why.",
    "413": "The body is too long.",
    "429": "Too many requests; Retry-After says when to come back.",
    "500": "The session cannot be read or written; the error names the file and the reason.",
}


def routes() -> list[Route]:
    """Return the route of the document."""
    body = msgspec.json.encode(document())

    async def serve(request: Request) -> Response:
        return Response(body, media_type=JSON, headers={"Cache-Control": "no-cache"})

    return [Route("/openapi.json", serve)]


def document() -> Part:
    """Return the document. Source: OpenAPI Specification 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BenchLab Linux Telemetry: webd",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Live rows, sessions, sources, and what people remark on them. Times are epoch milliseconds "
            "with up to three decimals. What is absent is null, never 0.",
        },
        "servers": [{"url": "/"}],
        "paths": {**_live(), **_history(), **_remarks(), **_vms(), **_program()},
        "components": {
            "schemas": SCHEMAS,
            "responses": {
                f"Error{code}": {"description": text, "content": _content("Error")} for code, text in ERRORS.items()
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _live() -> Part:
    pair, session = _pair(), _query("session", "string", "A session; without it the one that is current.")
    since = _query("since", "string", "The cursor of the answer before, nothing to begin: more of each row is told.")
    stream = (
        "Server-sent events, resumed by Last-Event-ID: ``hello``, then ``frames`` and ``drops`` of the past and as "
        "they come, ``rewind``, ``state`` every second, ``end``. Their data are the schemas of these names."
    )
    backfill = {"type": "number", "minimum": 0, "maximum": 86_400, "default": KEEP_MS / 1000}
    return {
        "/api/live": _get("getLive", f"The last {LAST_ROWS} rows.", "Live", [since, pair]),
        "/api/stream": {
            "get": {
                "operationId": "getStream",
                "summary": "The rows as they come.",
                "description": stream,
                "parameters": [
                    session,
                    pair,
                    {"name": "backfill_s", "in": "query", "description": "Seconds of the past.", "schema": backfill},
                    _query("cursor", "string", "What Last-Event-ID says, for those who cannot set a header."),
                    {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "description": "Events until the session is over or the viewer leaves.",
                        "content": {"text/event-stream": {"schema": {"type": "string"}}},
                    },
                    "204": {"description": "The session is closed, and all of it has been told."},
                    **_errors("400", "403", "404", "429"),
                },
            }
        },
        "/api/sources": _get("getSources", "How every source fares at this moment.", "Sources", [session], "404"),
    }


def _history() -> Part:
    stretch = [_query("from", "number", "First time, epoch ms."), _query("to", "number", "Last time, epoch ms.")]
    points = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000}
    window = [*stretch, {"name": "points", "in": "query", "description": "At most so many.", "schema": points}]
    page = [
        _query("q", "string", "A text that id, node or notes hold."),
        _query("limit", "integer", "At most so many."),
        _query("offset", "integer", "After so many."),
    ]
    chosen = [_many(name, f"Only this {name} (repeatable).") for name in ("source", "dev", "key")]
    plain = {"name": "plain", "in": "query", "description": "1: no comments.", "schema": {"enum": [0, 1]}}
    csv = _file("exportCsv", "Rows of a pair as CSV.", "text/csv", [_pair(), *stretch, plain])
    cx = _file("exportCapframex", "A pair as CapFrameX JSON.", JSON, [_pair(), *stretch])
    return {
        "/api/sessions": _get("getSessions", "The sessions there are.", "Sessions", page),
        "/api/sessions/{name}": _named(_get("getSession", "All about a session.", "Session", [], "404")),
        "/api/sessions/{name}/latency": _named(
            _get("getLatency", "A pair in a stretch of time.", "Latency", [_pair(), *window], "404")
        ),
        "/api/sessions/{name}/signals": _named(
            _get("getSignals", "Signals in a stretch of time.", "Signals", [*chosen, *window], "404")
        ),
        "/api/sessions/{name}/export.csv": _named(csv),
        "/api/sessions/{name}/export.capframex.json": _named(cx),
    }


def _remarks() -> Part:
    return {
        "/api/sessions/{name}/notes": _named(_post("addNote", "Add a note.", "NoteBody", "Note")),
        "/api/sessions/{name}/bookmarks": _named(
            _post("addBookmark", "Add a bookmark.", "BookmarkBody", "Bookmark", "409")
        ),
    }


def _vms() -> Part:
    vm = {"name": "vm_id", "in": "path", "required": True, "schema": {"type": "string"}}
    field = [_query("vm", "string", "A VM: its number, name or UUID."), _query("field", "string", "One of its fields.")]
    stretch = [_query("from", "number", "First time, epoch ms."), _query("to", "number", "Last time, epoch ms.")]
    points = [_query("points", "integer", "At most so many.")]
    stats = _get("getVmStats", "Statistics of a VM.", None, [], "404")
    return {
        "/api/telemetry/vms": _get("getVms", "The virtual machines.", None, []),
        "/api/telemetry/stats/{vm_id}": {**stats, "parameters": [vm]},
        "/api/telemetry/history": _get(
            "getVmHistory", "A field of a VM in a stretch of time.", None, [*field, *stretch, *points], "404"
        ),
    }


def _program() -> Part:
    return {
        "/healthz": _get("getHealth", "Whether the program answers.", "Health", []),
        "/openapi.json": _get("getOpenapi", "This document.", None, []),
    }


def _get(name: str, summary: str, schema: str | None, parameters: list[Part], *codes: str) -> Part:
    content = {JSON: {"schema": {"type": "object"}}} if schema is None else _content(schema)
    responses = {"200": {"description": summary, "content": content}, **_errors("400", "403", "500", *codes)}
    return {"get": {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses}}


def _file(name: str, summary: str, media_type: str, parameters: list[Part]) -> Part:
    content = {media_type: {"schema": {"type": "string" if media_type != JSON else "object"}}}
    disposition = {"Content-Disposition": {"schema": {"type": "string"}}}
    responses = {"200": {"description": summary, "content": content, "headers": disposition}, **_errors("400", "404")}
    return {"get": {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses}}


def _post(name: str, summary: str, body: str, answer: str, *codes: str) -> Part:
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "description": "Asks for the token unless webd serves this host only. Pages of other sites are refused.",
            "security": [{"token": []}, {}],
            "requestBody": {"required": True, "content": _content(body)},
            "responses": {
                "201": {"description": "What was written.", "content": _content(answer)},
                **_errors("400", "401", "403", "404", "413", "429", "500", *codes),
            },
        }
    }


def _named(path: Part) -> Part:
    parameter = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {**path, "parameters": [parameter]}


def _content(schema: str) -> Part:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _errors(*codes: str) -> Part:
    return {code: {"$ref": f"#/components/responses/Error{code}"} for code in codes}


def _query(name: str, kind: str, description: str) -> Part:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind}}


def _many(name: str, description: str) -> Part:
    values = {"type": "array", "items": {"type": "string"}}
    return {"name": name, "in": "query", "description": description, "schema": values, "explode": True}


def _pair() -> Part:
    return _many("pair", "FROM,TO; where a stage has a comma, two values. Without it the first one.")
