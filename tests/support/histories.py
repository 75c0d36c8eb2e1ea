"""Aligned files that grow, are cut and are made anew, and what a reader that takes its time finds in them."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchlab.query.aligned import LATENCY_FILE
from benchlab.query.index import Index
from benchlab.query.latency import LatencyHistory, Window, middle_ns
from benchlab.query.segments import extent
from support.cx_sessions import Recording, Row

PAIR = ("ingress", "encoded")
OTHER = ("encoded", "displayed")


def encoded(rows: Iterable[Row]) -> bytes:
    return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)


def vouch(recording: Recording, latency: int, signals: int = 0, generation: int = 1, final: bool = False) -> None:
    state = recording.dir / "state"
    state.mkdir(exist_ok=True)
    outputs = {"latency.jsonl": latency, "signals.jsonl": signals}
    said = {"version": 1, "generation": generation, "outputs": outputs, "final": final}
    (state / "mux.json").write_text(json.dumps(said))


def dumped(index: Index) -> dict[str, list[Any]]:
    """Return all that an index holds of latency.jsonl as it is now, but which inode that is; nothing if it has none."""
    tables = ("pair", "pair_segment", "block", "series", "signal_block", "segment")
    now = extent(index.dir, LATENCY_FILE)
    with index.connected() as connection:
        if index.state(connection, LATENCY_FILE, now).segments == 0:
            return {}
        connection.row_factory = sqlite3.Row
        found = {name: [tuple(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in tables}
        columns = "name, generation, segments, offset, hash, bad"
        found["file"] = [tuple(row) for row in connection.execute(f"SELECT {columns} FROM file ORDER BY name")]
    return found


def good_rows(data: bytes) -> Iterator[Row]:
    """Yield the rows of whole lines that are some, the slow and obvious way."""
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            row = json.loads(line)
            assert row["ts_aligned_ns"] >= 0
            assert row["kv"]["pair"]
        except (ValueError, KeyError, TypeError, AssertionError):
            continue
        yield row


def plain(data: bytes, pair: tuple[str, str], from_ns: int, to_ns: int) -> tuple[list[Row], list[int]]:
    """Return the frames of a pair in a stretch of time by time, and the times of its drops."""
    rows = [r for r in good_rows(data) if tuple(r["kv"]["pair"]) == pair and from_ns <= r["ts_aligned_ns"] < to_ns]
    frames = sorted((r for r in rows if r["source"] == "metric.latency"), key=lambda r: r["ts_aligned_ns"])
    return frames, sorted(r["ts_aligned_ns"] for r in rows if r["source"] == "metric.dropped")


def window(folder: Path, index: Index, from_ns: int, to_ns: int, points: int, exact_frames: int) -> Window:
    return LatencyHistory(index, exact_frames).window(PAIR, from_ns, to_ns, points)


def assert_is_true(found: Window, frames: list[Row], drops: list[int], points: int) -> None:
    """Hold an answer against the frames and drops it is of."""
    lat_ms = [row["kv"]["lat_ms"] for row in frames]
    power_w = [row["kv"]["power_w"] for row in frames if "power_w" in row["kv"]]
    assert found.frames == len(frames)
    assert list(found.drops_ns) == drops
    assert found.sketch.n == len(frames)
    if not frames:
        assert found.figures is None
        assert found.blocks is None
        assert len(found.rows) == 0
        return
    figures = found.figures
    assert figures is not None
    assert (figures.n, figures.min_ms, figures.max_ms) == (len(frames), min(lat_ms), max(lat_ms))
    assert math.isclose(figures.mean_ms, math.fsum(lat_ms) / len(lat_ms), rel_tol=1e-9)
    assert (figures.power_mean_w is None) == (not power_w)
    if found.blocks is None:
        assert list(found.rows.lat_ms) == lat_ms
        assert list(found.rows.ts_ns) == [row["ts_aligned_ns"] for row in frames]
        return
    blocks = found.blocks
    assert 0 < len(blocks) <= points
    assert sum(block.n for block in blocks) == len(frames)
    assert sum(found.block_drops) == len(drops)
    assert min(block.lat_min for block in blocks) == min(lat_ms)
    assert max(block.lat_max for block in blocks) == max(lat_ms)
    assert min(block.t_min for block in blocks) == frames[0]["ts_aligned_ns"]
    assert max(block.t_max for block in blocks) == frames[-1]["ts_aligned_ns"]
    if power_w:
        assert min(b.power_min for b in blocks if b.power_min is not None) == min(power_w)
        assert max(b.power_max for b in blocks if b.power_max is not None) == max(power_w)
    middles = [middle_ns(block) for block in blocks]
    assert middles == sorted(middles)
