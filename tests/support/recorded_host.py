"""A recorded machine at two moments, 1,000 ms apart."""

from __future__ import annotations

import shutil
from pathlib import Path

RECORDED = Path(__file__).parent.parent / "fixtures" / "host"


class Machine:
    """A copy of the recorded machine, and the clock its readers are given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recorded = RECORDED
        self.now_ns = 5_000_000_000
        shutil.copytree(RECORDED / "before", root)

    def monotonic(self) -> int:
        return self.now_ns

    def second_later(self) -> None:
        """Go on to the second moment; open files see it, as those of a kernel would."""
        self.now_ns += 1_000_000_000
        shutil.copytree(RECORDED / "after", self.root, dirs_exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        (self.root / name).write_bytes(content)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()
