"""Sessions of any age in any state of repair, as collectors, muxd and years of operation leave them."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOW_NS = round(NOW.timestamp()) * 1_000_000_000
DAY_NS = 86_400_000_000_000

LINE = b'{"ts_ns":1763800000123456789,"source":"pipeline","kv":{"stage":"ingress","frame":17}}\n'
ROW = b'{"ts_aligned_ns":1763800000133956789,"source":"metric.latency","kv":{"lat_ms":10.5}}\n'


def created(age_days: float) -> str:
    """Return what session.json says of a session of this age."""
    return (NOW - timedelta(days=age_days)).isoformat().replace("+00:00", "Z")


def timestamp(age_days: float) -> str:
    """Return the name of a session of this age that nobody named."""
    return (NOW - timedelta(days=age_days)).strftime("%Y-%m-%dT%H-%M-%SZ")


class Old:
    """One session's folder, complete and muxed to its end unless told otherwise."""

    def __init__(self, data_root: Path, name: str, age_days: float, *, lines: int = 3, **info: Any) -> None:
        self.dir = data_root / "sessions" / name
        self.name = name
        self.raw = self.dir / "raw" / "pipeline.jsonl"
        self.latency = self.dir / "aligned" / "latency.jsonl"
        for part in ("raw", "aligned", "state", "quarantine"):
            (self.dir / part).mkdir(parents=True)
        self.raw.write_bytes(LINE * lines)
        self.latency.write_bytes(ROW * lines)
        (self.dir / "state" / "mux.lock").write_text('{"pid": 4194304, "what": "muxd"}')
        self.describe(age_days, **info)
        self.muxed()

    def describe(self, age_days: float, **info: Any) -> None:
        fields = {"id": self.name, "created": created(age_days), "closed": True, **info}
        (self.dir / "session.json").write_text(json.dumps(fields))

    def muxed(self, *, offset: int | None = None, final: bool = True, **more: Any) -> None:
        """Write muxd's checkpoint: everything was taken in, unless ``offset`` tells another end."""
        checkpoint = {
            "version": 1,
            "generation": 1,
            "outputs": {"latency.jsonl": self.latency.stat().st_size, "quarantine/pipeline.jsonl": 99},
            "streams": {"pipeline.jsonl": {"offset": self.raw.stat().st_size if offset is None else offset}},
            "final": final,
            **more,
        }
        (self.dir / "state" / "mux.json").write_text(json.dumps(checkpoint))

    def bare(self, age_days: float | None = None) -> Old:
        """Take session.json away; the folder's own time is then its age."""
        (self.dir / "session.json").unlink()
        if age_days is not None:
            self.touch(age_days)
        return self

    def touch(self, age_days: float) -> None:
        then_ns = NOW_NS - round(age_days * DAY_NS)
        os.utime(self.dir, ns=(then_ns, then_ns))

    def content(self) -> dict[str, bytes]:
        """Return all files; empty once the session is gone."""
        return content(self.dir)

    @property
    def has_raw(self) -> bool:
        return self.raw.exists()


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder; locks leave no trace worth telling."""
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and p.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def point_current(data_root: Path, name: str) -> None:
    (data_root / "sessions" / "current").symlink_to(name)
