"""What ``[web]`` says, checked: the address and its token, the folder of the dashboard, the thresholds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from benchlab.access import is_loopback
from benchlab.config_schema import Web
from benchlab.errors import Exit, Fault
from benchlab.product import dashboard_dir
from webd.security import TOKEN, Access


def host_of(bind: str) -> str:
    """Return the address of HOST:PORT."""
    return bind.rpartition(":")[0].strip("[]")


def access_of(web: Web, env: Mapping[str, str] = os.environ) -> Access:
    """Return who may do what. Raises Fault (CONFIG) for an address that needs a token and has none."""
    host = host_of(web.bind)
    if web.ok_ms > web.slow_ms:
        raise Fault(f"[web].slow_ms: found {web.slow_ms}, expected at least ok_ms, {web.ok_ms}", Exit.CONFIG)
    return Access(TOKEN.token_of(host, web.token_file, env), is_loopback(host))


def static_dir_of(web: Web) -> Path:
    """Return the folder of the built dashboard. Raises Fault (CONFIG) for a named one that is none."""
    if not web.static_dir:
        return dashboard_dir()
    folder = Path(web.static_dir).expanduser().absolute()
    if not folder.is_dir():
        raise Fault(f"[web].static_dir: found {folder}, expected a folder with the built dashboard", Exit.CONFIG)
    return folder
