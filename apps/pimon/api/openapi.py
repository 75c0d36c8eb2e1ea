"""The description of the API for programs: OpenAPI 3.1, of which the page for people is made too."""

from __future__ import annotations

from typing import Any

from benchlab import __version__
from pimon.api import schemas
from pimon.api.history import CAPACITY

Part = dict[str, Any]

JSON = "application/json"


def document() -> Part:
    """Return the OpenAPI document. Source: OpenAPI Specification 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pimon: system monitor API",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "What a Raspberry Pi, or any small Linux host, is doing. Read-only. What a machine does not "
            "tell is null or left out, never 0.",
        },
        "servers": [{"url": "/"}],
        "paths": {path: {"get": get} for path, get in _paths().items()},
        "components": {"schemas": schemas.SCHEMAS, "responses": _RESPONSES},
    }


def _paths() -> dict[str, Part]:
    return {
        "/stats": _get(
            "getStats",
            "Everything of the machine at once.",
            "Stats",
            [
                _parameter("block", "boolean", False, "Wait 1 s, and tell the processor's usage in just that second."),
                _parameter(
                    "cache", "boolean", True, "false: a sample begun after the request, not one from the cache."
                ),
                {
                    "name": "fields",
                    "in": "query",
                    "description": "Only these keys, with commas. Unknown names beside known ones are ignored.",
                    "schema": {"type": "string"},
                    "example": "cpu_temp,memory",
                },
            ],
            {"503": _refers("TooManyWaiting")},
        ),
        "/health": _get(
            "getHealth", "Whether samples can be taken.", "Health", [], {"500": _answers("Unhealthy", "They cannot.")}
        ),
        "/processes": _get(
            "getProcesses",
            "The first of all processes, by their name; never their command lines.",
            "Processes",
            [
                {
                    **_parameter("sort", "string", "cpu", "By what; shares and running time the greatest first."),
                    "schema": {"type": "string", "enum": list(schemas.SORTS), "default": "cpu"},
                },
                _number("limit", 10, schemas.MAX_PROCESSES, "How many."),
            ],
            {"503": _answers("Error", "They cannot be read.")},
        ),
        "/network/interfaces": _get(
            "getInterfaces", "The network interfaces that have carried something.", "Interfaces"
        ),
        "/storage/devices": _get("getDevices", "The file systems on disks, and the disks.", "Devices"),
        "/metrics/history": _get(
            "getHistory",
            f"The last samples, the oldest first: at most {CAPACITY}, at least a second apart, since pimon started.",
            "History",
            [_number("limit", CAPACITY, CAPACITY, "How many of the newest.")],
        ),
        "/system/config": _get("getConfig", "What this host is, and how the API is set up.", "Config"),
        "/openapi.json": _get("getOpenApi", "This description, for programs.", "OpenApi"),
        "/": _file("getPage", "The documentation for people.", "text/html"),
        "/docs.css": _file("getPageStyle", "The style of the documentation.", "text/css"),
        "/docs.js": _file("getPageScript", "The script of the documentation.", "text/javascript"),
    }


def _get(
    name: str,
    description: str,
    schema: str,
    parameters: list[Part] | None = None,
    errors: dict[str, Part] | None = None,
) -> Part:
    answers = {"200": _answers(schema, "As asked."), "400": _refers("BadRequest"), "429": _refers("TooManyRequests")}
    answers["500"] = _refers("Failed")
    get = {"operationId": name, "summary": description.partition(".")[0], "description": description}
    asked = {"parameters": parameters} if parameters else {}
    return {**get, **asked, "responses": dict(sorted({**answers, **(errors or {})}.items()))}


def _file(name: str, description: str, kind: str) -> Part:
    answer = {"description": "The file.", "content": {kind: {"schema": {"type": "string"}}}}
    errors = {"429": _refers("TooManyRequests"), "500": _refers("Failed")}
    return {
        "operationId": name,
        "summary": description.rstrip("."),
        "description": description,
        "responses": {"200": answer, **errors},
    }


def _parameter(name: str, kind: str, default: object, description: str) -> Part:
    schema = {"type": kind, "default": default}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _number(name: str, default: int, most: int, description: str) -> Part:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return {"name": name, "in": "query", "description": f"{description} 1 to {most}.", "schema": schema}


def _answers(schema: str, description: str) -> Part:
    return {
        "description": description,
        "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _refers(response: str) -> Part:
    return {"$ref": f"#/components/responses/{response}"}


def _wait(response: Part) -> Part:
    description = "Seconds after which to ask again."
    return {**response, "headers": {"Retry-After": {"description": description, "schema": {"type": "integer"}}}}


_RESPONSES: dict[str, Part] = {
    "BadRequest": _answers("Error", "A parameter that is unknown, there twice, or out of its bounds."),
    "TooManyRequests": _wait(_answers("RateLimited", "More requests a minute than PISTAT_RATE_LIMIT allows.")),
    "TooManyWaiting": _wait(_answers("Error", "Too many clients wait with block=true at the moment.")),
    "Failed": _answers("Failure", "An error of pimon's own; its log says which."),
}
