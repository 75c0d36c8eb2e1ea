"""Gaps, slow pipelines and signals over a stretch of time."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from benchlab.query.aligned import LATENCY_FILE, SIGNALS_FILE
from benchlab.query.index import Index
from benchlab.query.latency import LatencyHistory, Window
from benchlab.query.signals import SignalHistory
from support.cx_sessions import MS, START_NS, Recording, Row, S, frame, steady
from support.histories import PAIR

FOR_EVER = 2**62
SEGMENT = 8192


def shifted(rows: list[Row], ns: int) -> list[Row]:
    return [{**row, "ts_aligned_ns": row["ts_aligned_ns"] + ns} for row in rows]


@pytest.fixture(params=[0, 100_000], ids=["in blocks", "one by one"])
def exact_frames(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def asked(
    recording: Recording, exact_frames: int, from_ns: int = 0, to_ns: int = FOR_EVER, points: int = 1000
) -> Window:
    index = Index(recording.dir, SEGMENT)
    index.refresh(LATENCY_FILE)
    return LatencyHistory(index, exact_frames).window(PAIR, from_ns, to_ns, points)


def test_a_quiet_spell_is_a_gap_wherever_it_falls(tmp_path: Path, exact_frames: int) -> None:
    recording = Recording(tmp_path)
    parts = [shifted(steady(n), at_s * S) for n, at_s in ((150, 0), (1, 10), (300, 20), (40, 60))]
    recording.aligned([row for part in parts for row in part])
    ends = [(part[0]["ts_aligned_ns"], part[-1]["ts_aligned_ns"]) for part in parts]
    expected = [(before[1], behind[0]) for before, behind in pairwise(ends)]
    assert asked(recording, exact_frames).gaps == expected
    assert asked(recording, exact_frames, to_ns=ends[1][1]).gaps == expected[:1]
    assert asked(recording, exact_frames, from_ns=ends[2][0] + 1).gaps == expected[2:]
    assert asked(recording, exact_frames, from_ns=ends[2][1] + S, to_ns=ends[2][1] + 2 * S).gaps == expected[2:]


def test_a_slow_pipeline_has_no_gaps_unless_it_stops(tmp_path: Path, exact_frames: int) -> None:
    recording = Recording(tmp_path)
    rows = steady(100, step_ms=2000)
    recording.aligned(rows)
    assert asked(recording, exact_frames).gaps == []
    recording.aligned([*rows, *shifted(rows, 400 * S)])
    assert [b - a for a, b in asked(recording, exact_frames).gaps] == [(400 - 198) * S]


def test_a_window_of_one_frame_and_one_of_none(tmp_path: Path, exact_frames: int) -> None:
    recording = Recording(tmp_path)
    recording.aligned(steady(400))
    one = asked(recording, exact_frames, START_NS + 16 * MS, START_NS + 16 * MS + 1)
    assert (one.frames, list(one.rows.ts_ns), one.blocks) == (1, [START_NS + 16 * MS], None)
    assert one.figures is not None
    assert one.figures.p99_ms == one.figures.min_ms == 10.5
    none = asked(recording, exact_frames, START_NS + 1, START_NS + 2)
    assert (none.frames, none.figures, none.gaps) == (0, None, [])


def test_absent_power_is_absent_and_not_zero(tmp_path: Path, exact_frames: int) -> None:
    recording = Recording(tmp_path)
    recording.aligned(steady(400, power_why="gap"))
    found = asked(recording, exact_frames, points=10)
    assert found.figures is not None
    assert (found.figures.power_mean_w, found.figures.energy_j) == (None, None)
    assert found.blocks is not None
    assert {block.power_max for block in found.blocks} == {None}


def test_whose_simulated_rows_lie_anywhere_is_simulated(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    rows = steady(300)
    rows[250] = frame(rows[250]["ts_aligned_ns"], 9.0, sim=True, sim_of=["gpu.nvml"])
    recording.aligned(rows)
    index = Index(recording.dir, SEGMENT)
    index.refresh(LATENCY_FILE)
    total = LatencyHistory(index).pairs()[PAIR]
    assert (total.frames, total.simulated) == (300, {"gpu.nvml"})


def signal_rows(seconds: int) -> list[Row]:
    rows: list[Row] = []
    for second in range(seconds):
        at_ns = START_NS + second * S
        power = {"power_w": 100.0 + second % 50, "pstate": "P0", "throttled": second % 2 == 0, "cores": [{"a": 1}]}
        rows.append({"ts_aligned_ns": at_ns, "source": "gpu.nvml", "kv": power, "dev": "GPU-1"})
        rows.append({"ts_aligned_ns": at_ns, "source": "gpu.nvml", "kv": {"power_w": 10}, "dev": "GPU-2"})
        rows.append({"ts_aligned_ns": at_ns, "source": "cpu.psutil", "kv": {"cpu_util": second / 100}, "sim": True})
    rows.append({"ts_aligned_ns": START_NS, "source": "metric.late", "kv": {"stream": "a.jsonl", "behind_ms": 3.0}})
    return rows


@pytest.mark.parametrize("exact_bytes", [0, 1 << 30])
@pytest.mark.parametrize(("from_s", "to_s"), [(0, 1000), (17, 403), (5, 6), (2000, 3000)])
def test_signals_are_those_of_the_file(tmp_path: Path, exact_bytes: int, from_s: int, to_s: int) -> None:
    recording = Recording(tmp_path)
    rows = signal_rows(600)
    recording.aligned(rows, "signals.jsonl")
    index = Index(recording.dir, SEGMENT)
    assert index.refresh(SIGNALS_FILE) == 1
    history = SignalHistory(index, exact_bytes)
    assert history.available() == {
        ("gpu.nvml", "GPU-1", "power_w"): False,
        ("gpu.nvml", "GPU-1", "throttled"): False,
        ("gpu.nvml", "GPU-2", "power_w"): False,
        ("cpu.psutil", "", "cpu_util"): True,
    }
    from_ns, to_ns = START_NS + from_s * S, START_NS + to_s * S
    for series in history.window(lambda a: a[2] != "cpu_util", from_ns, to_ns, points=20):
        source, dev, key = series.address
        true = [
            (row["ts_aligned_ns"], row["kv"][key])
            for row in rows
            if row["source"] == source and row.get("dev") == dev and from_ns <= row["ts_aligned_ns"] < to_ns
        ]
        if series.spans is None:
            assert series.values == true
            assert len(true) <= 20
            continue
        assert len(series.spans) <= 20
        assert sum(span.n for span in series.spans) == len(true)
        assert min(span.low for span in series.spans) == min(value for _, value in true)
        assert max(span.high for span in series.spans) == max(value for _, value in true)
        assert sum(span.total for span in series.spans) == pytest.approx(sum(value for _, value in true))


def test_a_signal_that_is_only_in_the_newest_rows_is_there(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    path = recording.aligned(signal_rows(300), "signals.jsonl")
    index = Index(recording.dir, SEGMENT)
    index.refresh(SIGNALS_FILE)
    history = SignalHistory(index)
    with path.open("a") as file:
        row = {"ts_aligned_ns": START_NS + 301 * S, "source": "nic.psutil", "kv": {"rx_bytes": 17}, "dev": "eth0"}
        file.write(json.dumps(row) + "\n")
    (series,) = history.window(lambda a: a[0] == "nic.psutil", 0, FOR_EVER, 100)
    assert series.values == [(START_NS + 301 * S, 17.0)]
