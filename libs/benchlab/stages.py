"""The stage protocol: its bounds, and where programs send stages and the collector listens. docs/STAGES.md.

Programs under measurement import this through the SDK: nothing but the standard library belongs here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

VERSION = 1
MAX_LINE = 8 * 1024
"""Bytes of a line, without its newline."""
MAX_DATAGRAM = 64 * 1024
MAX_NAME = 128
"""Characters of the name of a stage, a flow, a sender, or of a frame that is text."""
MAX_TEXT = 1024
"""Characters of a bookmark."""
MAX_PATH = 107
"""Bytes that a socket's path may have. Source: unix(7), sun_path less the closing zero."""

VARIABLES = ("BENCHLAB_PIPELINE_STAGE_SOCKET", "BENCHLAB_STAGE_SOCKET")
SYSTEM_SOCKET = "/run/benchlab/stage.sock"


def is_name(text: str) -> bool:
    """Return whether something may be called so: 1 to 128 printable characters."""
    return 0 < len(text) <= MAX_NAME and text.isprintable()


def is_text(text: str) -> bool:
    """Return whether a bookmark may say so: 1 to 1024 characters, not only white space."""
    return len(text) <= MAX_TEXT and bool(text.strip())


def default_socket(env: Mapping[str, str] = os.environ, system: str = SYSTEM_SOCKET) -> str:
    """Return where a collector listens that is not told: for the whole host where it may, else for its user."""
    if os.access(Path(system).parent, os.W_OK | os.X_OK):
        return system
    return next((path for path in _own(env) if Path(path).parent.is_dir()), "")


def sockets(env: Mapping[str, str] = os.environ, system: str = SYSTEM_SOCKET) -> list[str]:
    """Return where a program finds its collector, the most particular place first.

    A recording of the user's own goes before the service of the host, which listens all the time.
    """
    told = next((env[name] for name in VARIABLES if env.get(name)), None)
    return [told] if told else [*_own(env), system]


def is_trusted(path: str) -> bool:
    """Return whether a socket is there that nobody else could have put in the way.

    Only in a folder where everybody may create files, such as /tmp, does it matter whose it is. Raises OSError.
    """
    if not Path(path).parent.stat().st_mode & stat.S_IWOTH:
        return True
    return Path(path).lstat().st_uid in (os.getuid(), 0)


def _own(env: Mapping[str, str]) -> list[str]:
    """Return the places of a user's own collector. XDG_RUNTIME_DIR may be unset where systemd made its folder."""
    uid = os.getuid()
    folders = dict.fromkeys(filter(None, (env.get("XDG_RUNTIME_DIR"), f"/run/user/{uid}")))
    return [*(f"{folder}/benchlab-stage.sock" for folder in folders), f"/tmp/benchlab-stage-{uid}.sock"]
