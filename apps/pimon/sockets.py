"""What of the network is in no table of interfaces: sockets in use, and how well a radio hears its partner.

Sources: proc(5), /proc/net/sockstat and /proc/net/wireless; net/wireless/wext-proc.c of the Linux kernel.
"""

from __future__ import annotations

import re
from pathlib import Path

_IN_USE = re.compile(rb"^TCP6?: inuse (\d+)", re.MULTILINE)
_HEADER_LINES = 2
_LEVEL = 3


def connections(root: Path = Path("/")) -> int | None:
    """Return how many TCP sockets are in use, by the kernel's own count: no list of them is made. None: not told."""
    counts = [int(count) for name in ("sockstat", "sockstat6") for count in _IN_USE.findall(_content(root, name))]
    return sum(counts) if counts else None


def wifi_signals_dbm(root: Path = Path("/")) -> dict[str, float]:
    """Return the level of the signal by interface; only radios that have a partner have one."""
    found: dict[str, float] = {}
    for line in _content(root, "wireless").decode("ascii", "replace").splitlines()[_HEADER_LINES:]:
        name, _, rest = line.partition(":")
        try:
            level = float(rest.split()[_LEVEL - 1].rstrip("."))
        except (ValueError, IndexError):
            continue
        if level > 0:  # the kernel's old way: a byte without a sign
            level -= 256.0
        if level > -256.0:
            found[name.strip()] = level
    return found


def _content(root: Path, name: str) -> bytes:
    try:
        return (root / "proc/net" / name).read_bytes()
    except OSError:
        return b""
