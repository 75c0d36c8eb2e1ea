"""http.client without OpenSSL, 4 of the 30 MiB that a collector may hold, for as long as there is no central server.

Importing this is enough, before anything else that speaks HTTP is imported; only the program does so. It leaves
http.client as it is on a Python that was built without ssl: whole, but for HTTPSConnection.
"""

from __future__ import annotations

import importlib
import sys

_ssl = sys.modules.get("ssl")
sys.modules["ssl"] = _ssl  # type: ignore[assignment]  # None: for the next import, it is not installed
try:
    import http.client
finally:
    if _ssl is None:
        del sys.modules["ssl"]


def add_tls() -> None:
    """Have http.client speak TLS after all."""
    if not hasattr(http.client, "HTTPSConnection"):
        importlib.reload(http.client)
