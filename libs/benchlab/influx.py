"""How an InfluxDB is talked to, for whoever writes to one or asks it: the token, names and texts of InfluxQL, ports."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from benchlab.config_schema import Influx
from benchlab.token_file import read_token

TOKEN_VARIABLE = "INFLUX_TOKEN"
DEFAULT_PORT, PORT_OF_V3 = 8086, 8181


def token_of(influx: Influx, env: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Return the token, "" if there is none, and where it comes from, in words. Raises Fault (CONFIG)."""
    token = env.get(TOKEN_VARIABLE, "").strip()
    if token:
        return token, f"the token is that of {TOKEN_VARIABLE}"
    if influx.token_file:
        return read_token(Path(influx.token_file)), f"the token is that of {influx.token_file} ([influx].token_file)"
    return "", f"there is no token: set {TOKEN_VARIABLE}, or name a file in [influx].token_file"


def authorization(influx: Influx, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the header that bears the token, none if there is no token. Raises Fault (CONFIG).

    Of version 1, a token with a colon is a user and a password.
    """
    token, _ = token_of(influx, env)
    if not token:
        return {}
    if influx.api == "v1" and ":" in token:
        return {"Authorization": f"Basic {b64encode(token.encode()).decode()}"}
    return {"Authorization": f"{'Token' if influx.api == 'v2' else 'Bearer'} {token}"}


def port_hint(url: str) -> str:
    """Return what to say where nobody answers: something if version 3 would have another port by itself."""
    if (urlsplit(url).port or DEFAULT_PORT) != DEFAULT_PORT:
        return ""
    return f"; expected an InfluxDB at [influx].influx_url: InfluxDB 3's own port is {PORT_OF_V3}"


def identifier(name: str) -> str:
    """Return a name as InfluxQL has it."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """Return a text as InfluxQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
