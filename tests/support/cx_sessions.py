"""Sessions as muxd and the collectors would leave them, written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PAIR = ("ingress", "encoded")
START_NS = 1_763_800_000_000_000_000
MS = 1_000_000
S = 1_000_000_000

Row = dict[str, Any]


def frame(ts_ns: int, lat_ms: Any, pair: Sequence[str] = PAIR, **more: Any) -> Row:
    """Return a completed frame's row; ``sim`` and ``sim_of`` go beside kv, everything else into it."""
    top: Row = {key: more.pop(key) for key in ("sim", "sim_of") if key in more}
    kv = {"lat_ms": lat_ms, "pair": list(pair), "match": "frame", **more}
    return {"ts_aligned_ns": ts_ns, "source": "metric.latency", "kv": kv, **top}


def drop(ts_ns: int, pair: Sequence[str] = PAIR, **more: Any) -> Row:
    """Return a dropped frame's row."""
    kv = {"pair": list(pair), "stage": pair[0], "reason": "lost", "decided_ns": ts_ns + 2 * S, **more}
    return {"ts_aligned_ns": ts_ns, "source": "metric.dropped", "kv": kv}


def steady(count: int, lat_ms: float = 10.5, step_ms: float = 16.0, **more: Any) -> list[Row]:
    """Return ``count`` frames, one every ``step_ms``, of equal latency."""
    return [frame(START_NS + round(i * step_ms * MS), lat_ms, **more) for i in range(count)]


def event(ts_ns: int, source: str, kv: Row, **more: Any) -> Row:
    """Return a raw event."""
    return {"ts_ns": ts_ns, "source": source, "kv": kv, **more}


def board(from_ns: int, to_ns: int, watts: float = 246.0, step_ms: int = 100, **more: Any) -> list[Row]:
    """Return readings of a BENCHLAB at a fixed step; the whole board, its GPU and its CPU rails."""
    kv = {"p_sys": watts, "gpu_w": watts / 2, "cpu_w": watts / 4}
    return [event(ts_ns, "benchlab.usb", kv, **more) for ts_ns in range(from_ns, to_ns, step_ms * MS)]


class Recording:
    """A session folder under a data root."""

    def __init__(self, data_root: Path, name: str = "dev") -> None:
        self.data_root = data_root
        self.dir = data_root / "sessions" / name
        (self.dir / "raw").mkdir(parents=True)
        (self.dir / "aligned").mkdir()
        self.describe()

    def describe(self, closed: bool = True, **host: Any) -> None:
        """Write session.json."""
        info = {"id": self.dir.name, "closed": closed, "host": host}
        (self.dir / "session.json").write_text(json.dumps(info))

    def aligned(self, rows: Iterable[Row], name: str = "latency.jsonl") -> Path:
        """Write an aligned file."""
        return self._write(self.dir / "aligned" / name, rows)

    def raw(self, rows: Iterable[Row], stream: str = "benchlab") -> Path:
        """Write a raw stream."""
        return self._write(self.dir / "raw" / f"{stream}.jsonl", rows)

    def vouch(self, length: int, final: bool = False) -> None:
        """Write muxd's checkpoint."""
        state = self.dir / "state"
        state.mkdir(exist_ok=True)
        vouched = {"version": 1, "generation": 1, "outputs": {"latency.jsonl": length}, "final": final}
        (state / "mux.json").write_text(json.dumps(vouched))

    @staticmethod
    def _write(path: Path, rows: Iterable[Row]) -> Path:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
