"""The documentation for people, made of the one for programs; all of it comes from this server."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from benchlab.httpd import Answer, Request
from pimon.api.openapi import document

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
_FOLDER = Path(__file__).parent
_NOT_SHOWN = ("/", "/docs.css", "/docs.js")


def html(request: Request) -> Answer:
    """The page."""
    return Answer(_page().encode(), "text/html; charset=utf-8", headers=_HEADERS)


def style(request: Request) -> Answer:
    """Its style."""
    return Answer((_FOLDER / "docs.css").read_bytes(), "text/css; charset=utf-8")


def script(request: Request) -> Answer:
    """Its script."""
    return Answer((_FOLDER / "docs.js").read_bytes(), "text/javascript; charset=utf-8")


@cache
def _page() -> str:
    found = document()
    paths = {path: methods["get"] for path, methods in found["paths"].items() if path not in _NOT_SHOWN}
    template = (_FOLDER / "docs.html").read_text(encoding="utf-8")
    about = {
        "title": escape(found["info"]["title"]),
        "version": escape(found["info"]["version"]),
        "description": escape(found["info"]["description"]),
        "links": "\n".join(f'<li><a href="#{_anchor(path)}"><code>{escape(path)}</code></a></li>' for path in paths),
        "paths": "\n".join(_section(path, get, found) for path, get in paths.items()),
    }
    for name, text in about.items():
        template = template.replace(f"{{{{{name}}}}}", text)
    return template


def _section(path: str, get: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    asked = "".join(map(_parameter, get.get("parameters", ())))
    answers = "".join(
        f"<tr><td>{status}</td><td>{escape(_resolved(answer, found)['description'])}</td></tr>"
        for status, answer in get["responses"].items()
    )
    fields = "".join(_fields(get, found))
    return f"""<section id="{_anchor(path)}">
<h2><span class="method">GET</span> <code>{escape(path)}</code></h2>
<p>{escape(get["description"])}</p>
<form data-path="{escape(path)}">{asked}<button type="submit">Try it</button></form>
<pre class="request" hidden></pre>
<p class="status" role="status"></p>
<pre class="answer" tabindex="0" hidden></pre>
<details><summary>Answer</summary>
<table><tbody>{answers}</tbody></table>
<table><tbody>{fields}</tbody></table></details>
</section>"""


def _parameter(parameter: Mapping[str, Any]) -> str:
    name, schema = escape(parameter["name"]), parameter["schema"]
    choices = ["true", "false"] if schema["type"] == "boolean" else schema.get("enum")
    hint = escape(parameter["description"])
    if choices:
        options = "".join(f'<option value="{escape(each)}">{escape(each)}</option>' for each in choices)
        field = f'<select name="{name}"><option value="">(default)</option>{options}</select>'
    else:
        kind = "number" if schema["type"] == "integer" else "text"
        shown = escape(str(schema.get("default", parameter.get("example", ""))))
        field = f'<input name="{name}" type="{kind}" placeholder="{shown}">'
    return f"<label><span>{name}</span>{field}<small>{hint}</small></label>"


def _fields(get: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    content = get["responses"]["200"]["content"].get("application/json")
    if content is None:
        return []
    schema = _resolved(content["schema"], found)
    rows = []
    for name, field in schema.get("properties", {}).items():
        text = field.get("description") or _resolved(field, found).get("description", "")
        rows.append(f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>")
    return rows


def _resolved(part: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a part of the document refers to, or itself."""
    while "$ref" in part:
        whole: Any = found
        for step in part["$ref"].removeprefix("#/").split("/"):
            whole = whole[step]
        part = whole
    return part


def _anchor(path: str) -> str:
    return path.strip("/").replace("/", "-").replace(".", "-")
