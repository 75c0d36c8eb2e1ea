"""How full the mounted file systems are. Sources: proc_mounts(5), statvfs(3)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchlab.host.procfile import ProcFile
from pimon.snapshot import Filesystem

_ESCAPE = re.compile(r"\\([0-7]{3})")
_IMAGES = ("squashfs", "iso9660", "erofs")
"""Kinds that are always full: images that nobody can write to."""


class Mounts:
    """Reads the file systems that are on a device, each once, and the one at ``/`` whatever it is on.

    Those of the network are left out: one that does not answer would hold everything up. Only of this machine are
    sizes known, not of a recorded one.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._file = ProcFile(root, "proc/self/mounts")
        self._is_here = root == Path("/")

    def read(self) -> tuple[Filesystem, ...]:
        """Return the file systems in the order in which they were mounted. Raises Absent."""
        if not self._is_here:
            return ()
        return tuple(filter(None, (_filesystem(*row) for row in mounted(self._file.read()))))


def mounted(table: bytes) -> list[tuple[str, str, str]]:
    """Return device, mount point and kind of each file system in a table of mounts that is to be shown."""
    found: dict[str, tuple[str, str, str]] = {}
    for device, place, kind in _on_top(table):
        if (device.startswith("/dev/") and kind not in _IMAGES) or place == "/":
            if place == "/":
                found.pop(device, None)  # what is bound elsewhere is shown where it belongs
            found.setdefault(device, (device, place, kind))
    return list(found.values())


def _on_top(table: bytes) -> list[tuple[str, str, str]]:
    """Return what is mounted at each place: of several, the last. A service's sandbox covers places, such as /home."""
    rows: dict[str, tuple[str, str, str]] = {}
    for line in table.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split()
        if len(fields) >= 3:
            device, place, kind = (_ESCAPE.sub(lambda code: chr(int(code[1], 8)), field) for field in fields[:3])
            rows.pop(place, None)
            rows[place] = (device, place, kind)
    return list(rows.values())


def _filesystem(device: str, place: str, kind: str) -> Filesystem | None:
    try:
        size = os.statvfs(place)
    except OSError:
        return None
    unit = size.f_frsize
    used_b = (size.f_blocks - size.f_bfree) * unit
    return (
        Filesystem(place, device, kind, size.f_blocks * unit, used_b, size.f_bavail * unit) if size.f_blocks else None
    )
