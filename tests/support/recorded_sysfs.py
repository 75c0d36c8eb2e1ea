"""Recorded trees of /sys, unpacked under a root, and rewritten while readers hold their files open."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOBODY = 65534


class RecordedSysfs:
    """A recording ``ROOM/NAME`` unpacked under ``root``."""

    def __init__(self, root: Path, recording: str) -> None:
        self.root = root
        self.sys = root / "sys"
        for name, content in json.loads((FIXTURES / f"{recording}.json").read_text()).items():
            path = self.sys / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                path.symlink_to(content["link"])
                continue
            path.write_text(content or "0\n")
            path.chmod(0o444 if content is not None else 0)

    def write(self, name: str, content: str) -> None:
        """Rewrite a file in place, in one go and at one length, so that no reader finds it half written."""
        path = self.sys / name
        path.chmod(0o644)
        fd = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(fd, f"{content:>{os.fstat(fd).st_size - 1}}\n".encode(), 0)
        finally:
            os.close(fd)

    def read(self, name: str) -> str:
        return (self.sys / name).read_text()


class RecordedRapl(RecordedSysfs):
    """A powercap tree whose counters count."""

    def __init__(self, root: Path, machine: str) -> None:
        super().__init__(root, f"rapl/{machine}")

    def energy_uj(self, zone: str) -> int:
        return int(self.read(f"class/powercap/{zone}/energy_uj"))

    def set_uj(self, zone: str, energy_uj: int) -> None:
        self.write(f"class/powercap/{zone}/energy_uj", f"{energy_uj:>15d}")

    def draw(self, **joules: float) -> None:
        """Count energy, as ``draw(p0=1.5, p0_0=0.5)`` for intel-rapl:0 and intel-rapl:0:0; counters wrap."""
        for short, energy_j in joules.items():
            zone = "intel-rapl:" + short.removeprefix("p").replace("_", ":")
            wraps_uj = int(self.read(f"class/powercap/{zone}/max_energy_range_uj"))
            self.set_uj(zone, (self.energy_uj(zone) + round(energy_j * 1e6)) % wraps_uj)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """Yield a folder that every user may enter; pytest's own are closed to all but one."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user whom permissions bind, if we are root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
