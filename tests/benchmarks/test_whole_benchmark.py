"""The set-based programs are worth comparing with muxd only while they find the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.same import DifferentError, same_results
from benchmarks.whole import LEFT_OUT_FIELDS, TOLERANCE

from support.tree import REPOSITORY, program_env


def test_all_programs_agree_and_are_compared() -> None:
    command = [sys.executable, "-m", "benchmarks", "whole", "--frames", "6000", "--rounds", "1", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["Replay beside DuckDB and Polars"]
    assert found["rows"] > 6000
    assert set(found["programs"]) == {"muxd --replay", "DuckDB", "Polars"}
    assert all(one["peak"]["least"] > 0 for one in found["ratios"].values())


def pair(frame: int, b_ns: int, **kv: Any) -> dict[str, Any]:
    return {"ts_aligned_ns": b_ns, "source": "metric.latency", "kv": {"lat_ms": 1.5, "frame": frame, **kv}}


def lost(frame: int, a_ns: int, decided_ns: int, **kv: Any) -> dict[str, Any]:
    about = {"stage": "a", "frame": frame, "reason": "lost", "decided_ns": decided_ns}
    return {"ts_aligned_ns": a_ns, "source": "metric.dropped", "kv": {**about, **kv}}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


OURS = [pair(1, 10, power_w=100.0), lost(2, 5, 20), pair(3, 20), pair(4, 30, power_w=50.0, energy_j=0.5)]


def compare(folder: Path, theirs: list[dict[str, Any]]) -> int:
    ours = write(folder / "ours", [row | {"unc_ns": 7} for row in OURS])
    return same_results(ours, write(folder / "theirs", theirs), LEFT_OUT_FIELDS, TOLERANCE)


def test_nulls_rounding_and_the_order_within_a_moment_are_no_difference(tmp_path: Path) -> None:
    theirs = [pair(1, 10, power_w=100.00005), pair(3, 20, power_w=None), lost(2, 5, 20, lat_ms=None), OURS[3]]
    assert compare(tmp_path, theirs) == 4


@pytest.mark.parametrize(
    "theirs",
    [
        OURS[:3],
        [*OURS, pair(5, 40)],
        [OURS[1], OURS[2], OURS[0], OURS[3]],
        [pair(1, 10, power_w=100.001), *OURS[1:]],
        [*OURS[:3], pair(4, 30, power_w=50.0, energy_j=0.500001)],
        [*OURS[:3], pair(4, 30, power_w=50.0, energy_j=None)],
        [OURS[0], lost(2, 5, 20, reason="open_at_end"), *OURS[2:]],
        [OURS[0], OURS[1], pair(9, 20), OURS[3]],
    ],
    ids=["missing", "more", "order", "power", "energy", "absent", "reason", "frame"],
)
def test_row_that_another_program_found_differently_is_told(tmp_path: Path, theirs: list[dict[str, Any]]) -> None:
    with pytest.raises(DifferentError):
        compare(tmp_path, theirs)
