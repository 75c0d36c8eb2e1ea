"""What takes the recorded data further: the dashboard, the sinks, the folder of CapFrameX."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from benchctl.checks import ABSENT, FAIL, OK, WARN, Check
from benchlab.config_schema import Config, Influx, Web
from benchlab.product import dashboard_dir

GROUP = "readers"
BUILT = dashboard_dir()
ANSWER_S = 3.0


def reader_checks(config: Config) -> Iterator[Check]:
    """Yield all checks of this page."""
    yield dashboard_check(config.web)
    yield sqlite_check(config.sinks.sqlite)
    yield influx_check(config.influx, is_on=config.sinks.influx)
    yield capframex_check(config.cx_export.watch_dir, is_on=config.cx_export.enabled)


def dashboard_check(web: Web, built: Path = BUILT) -> Check:
    """Return whether webd has what it needs: its parts of Python, and the built dashboard."""
    missing = [name for name in ("starlette", "uvicorn", "httptools") if find_spec(name) is None]
    if missing:
        found = f"webd needs {', '.join(missing)}, not installed"
        return Check(GROUP, "dashboard", ABSENT, found, "pip install -r requirements-web.txt")
    folder = Path(web.static_dir).expanduser() if web.static_dir else built
    if (folder / "index.html").is_file():
        return Check(GROUP, "dashboard", OK, f"{folder}, to be served on {web.bind}")
    fix = "in the checkout: cd web && npm ci && npm run build, then install again; the API works without it"
    return Check(GROUP, "dashboard", FAIL if web.static_dir else ABSENT, f"not built: no {folder}/index.html", fix)


def sqlite_check(is_on: bool) -> Check:
    """Return whether muxd keeps a store."""
    if find_spec("_sqlite3") is None:
        fix = "install a Python that was built with SQLite"
        return Check(GROUP, "sqlite", FAIL if is_on else ABSENT, "this Python has no SQLite", fix)
    if is_on:
        return Check(GROUP, "sqlite", OK, "every session gets a store for benchctl query")
    return Check(GROUP, "sqlite", ABSENT, "switched off", "sqlite = true in [sinks], or muxd --sink sqlite")


def influx_check(influx: Influx, *, is_on: bool) -> Check:
    """Return whether the InfluxDB answers; one that nobody asks for is not looked for."""
    if not is_on:
        return Check(GROUP, "influx", ABSENT, "switched off", "influx = true in [sinks] (docs/INFLUX.md)")
    if find_spec("httpx2") is None:
        return Check(GROUP, "influx", FAIL, "httpx2 is not installed", "pip install -r requirements-influx.txt")
    if influx.token_file and not os.access(Path(influx.token_file).expanduser(), os.R_OK):
        found = f"[influx].token_file: {influx.token_file} cannot be read"
        return Check(GROUP, "influx", FAIL, found, "correct the path, or let muxd's user read it")
    try:
        status = _ping(influx.influx_url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        fix = "start it, or correct [influx].influx_url; what it misses is sent as soon as it answers"
        return Check(GROUP, "influx", FAIL, f"{influx.influx_url} does not answer: {error}", fix)
    if status in (401, 403):
        return Check(GROUP, "influx", OK, f"{influx.influx_url} answers, and asks for a token")
    if status >= 500:
        return Check(GROUP, "influx", WARN, f"{influx.influx_url} answers with status {status}", "look into its log")
    return Check(GROUP, "influx", OK, f"{influx.influx_url} answers")


def _ping(url: str) -> int:
    """Return the status of the answer to ``/ping``, which every version of InfluxDB has. Raises OSError."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_S)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/ping")
        return connection.getresponse().status
    finally:
        connection.close()


def capframex_check(watch_dir: str, *, is_on: bool) -> Check:
    """Return whether the files for CapFrameX have a folder."""
    if not is_on:
        return Check(GROUP, "capframex", ABSENT, "switched off", "enabled = true in [cx_export]")
    folder = Path(watch_dir).expanduser()
    if not folder.is_dir():
        fix = "mount or make it, or set [cx_export].watch_dir (docs/CAPFRAMEX.md)"
        return Check(GROUP, "capframex", ABSENT, f"no folder {folder}", fix)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(GROUP, "capframex", WARN, f"{folder}: permission denied", f"sudo chgrp benchlab {folder}")
    return Check(GROUP, "capframex", OK, str(folder))
