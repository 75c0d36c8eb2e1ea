"""The built dashboard: its files from memory, each page with the policy that lets its own scripts run."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from webd.errors import Refusal
from webd.security import SAFE, page_policy

IMMUTABLE = "/_next/static/"
MOST_CACHED = 12 * 1024 * 1024
MOST_FILE = 2 * 1024 * 1024
LEAST_GZIP = 512

_TEXT = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}

MISSING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>BenchLab: no dashboard yet</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}
pre{{padding:.75rem;border:1px solid}}</style></head>
<body><h1>The dashboard is not built</h1>
<p>Found no <code>{path}</code>. The API works: <a href="/api/live">/api/live</a>,
<a href="/api/sessions">/api/sessions</a>, <a href="/openapi.json">/openapi.json</a>.</p>
<p>To build it, in the folder of the checkout, with Node 20 or newer:</p>
<pre>cd web &amp;&amp; npm ci &amp;&amp; npm run build</pre>
<p>Or name the folder of one that is built: <code>webd --static-dir DIR</code>, <code>[web].static_dir</code>.</p>
</body></html>
"""


@dataclass(frozen=True)
class Asset:
    """A file as it is sent; ``packed`` is its gzip, None where that would not help."""

    seen: tuple[int, int]
    body: bytes
    packed: bytes | None
    content_type: str
    etag: str
    policy: str | None

    @property
    def size(self) -> int:
        """How much memory it takes."""
        return len(self.body) + len(self.packed or b"")


class Pages:
    """Serves the files of a folder under their paths; a page that is not there is ``404.html``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._assets: dict[Path, Asset] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what no route answers."""
        if scope["type"] == "http":
            response = await self._serve(Request(scope, receive))
            await response(scope, receive, send)

    async def _serve(self, request: Request) -> Response:
        path = request.url.path
        if path.startswith("/api/"):
            raise Refusal(404, f"found nothing at {path[:200]}, expected a path of /openapi.json")
        if request.method not in SAFE:
            raise Refusal(405, f"found {request.method}, expected GET", headers={"Allow": "GET, HEAD"})
        file = await asyncio.to_thread(self._find, path)
        if isinstance(file, str):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(file + query, 308)
        if file is None:
            return await self._missing(request)
        return await self._answer(request, file)

    def _find(self, path: str) -> Path | str | None:
        """Return the file of a path, or the path that a folder has with its slash; None if there is neither."""
        parts = [part for part in path.split("/") if part]
        if any(part.startswith(".") or "\\" in part or "\0" in part for part in parts):
            return None
        file = self._folder.joinpath(*parts)
        try:
            if not file.resolve().is_relative_to(self._folder.resolve()):
                return None
            if (file / "index.html").is_file():
                return file / "index.html" if path.endswith("/") else "/" + "/".join(parts) + "/"
            if path.endswith("/"):
                return None
            return next((p for p in (file, file.with_name(file.name + ".html")) if p.is_file()), None)
        except (OSError, ValueError):  # a name that is too long
            return None

    async def _missing(self, request: Request) -> Response:
        if not (self._folder / "index.html").is_file():
            text = MISSING.format(path=self._folder / "index.html")
            headers = {"Content-Security-Policy": page_policy([]), "Cache-Control": "no-store"}
            return Response(text, 503, headers, "text/html")
        page = self._folder / "404.html"
        if not page.is_file():
            raise Refusal(404, f"found nothing at {request.url.path[:200]}")
        return await self._answer(request, page, status=404)

    async def _answer(self, request: Request, file: Path, status: int = 200) -> Response:
        stat = file.stat()
        if stat.st_size > MOST_FILE:
            return FileResponse(file)
        asset = self._assets.get(file)
        if asset is None or asset.seen != (stat.st_mtime_ns, stat.st_size):
            asset = await asyncio.to_thread(_load, file)
            self._keep(file, asset)
        packed = asset.packed if "gzip" in request.headers.get("accept-encoding", "") else None
        headers = _headers_of(request.url.path, asset, packed is not None)
        if status == 200 and headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(asset.body if packed is None else packed, status, headers, asset.content_type)

    def _keep(self, file: Path, asset: Asset) -> None:
        if sum(known.size for known in self._assets.values()) + asset.size > MOST_CACHED:
            self._assets.clear()
        self._assets[file] = asset


def _headers_of(path: str, asset: Asset, packed: bool) -> dict[str, str]:
    keep = "public, max-age=31536000, immutable" if path.startswith(IMMUTABLE) else "no-cache"
    headers = {"Cache-Control": keep, "ETag": f'"{asset.etag}{"-gz" if packed else ""}"'}
    if asset.packed is not None:
        headers["Vary"] = "Accept-Encoding"
    if packed:
        headers["Content-Encoding"] = "gzip"
    if asset.policy is not None:
        headers["Content-Security-Policy"] = asset.policy
    return headers


def _load(file: Path) -> Asset:
    stat, body = file.stat(), file.read_bytes()
    kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    packed = None
    if kind.startswith(_TEXT) and len(body) >= LEAST_GZIP:
        packed = gzip.compress(body, 9, mtime=0)
    policy = page_policy(inline_scripts(body.decode("utf-8", "replace"))) if kind == "text/html" else None
    etag = hashlib.sha256(body).hexdigest()[:24]
    return Asset((stat.st_mtime_ns, stat.st_size), body, packed, kind, etag, policy)


class _Scripts(HTMLParser):
    """Collects the text of scripts that have no ``src``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the beginning of a script."""
        if tag == "script" and "src" not in dict(attrs):
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        """Note its end."""
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        """Take its text."""
        if self._inside:
            self.found[-1] += data


def inline_scripts(page: str) -> list[str]:
    """Return the SHA-256 of each inline script of a page, in base64, as a Content-Security-Policy names it."""
    parser = _Scripts()
    parser.feed(page.replace("\r\n", "\n").replace("\r", "\n"))  # as a browser reads it before it hashes
    parser.close()
    digests = [hashlib.sha256(text.encode()).digest() for text in parser.found]
    return list(dict.fromkeys(base64.b64encode(digest).decode() for digest in digests))
