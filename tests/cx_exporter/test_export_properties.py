"""Whatever the aligned rows are, an export passes its own check and comes back as what went in."""

from __future__ import annotations

import math
import random
import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchlab.capframex.frames import ROW_LAYOUT, Selection, collect, in_order
from benchlab.capframex.spool import Spool
from benchlab.event import Aligned
from cx_exporter.check import findings
from cx_exporter.main import main
from support.capframex_reader import Capture, read_csv, read_json
from support.cx_sessions import MS, PAIR, START_NS, Recording, Row, S, board, drop, frame

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1, max_value=1e4),
    st.sampled_from([0.0, 1e-9, 5e-7, 1e-6, 1e300, -0.0, True, None, "x", 2**70]),
)
STAGES = st.sampled_from([list(PAIR), ["encoded", "displayed"], ["ingress"], "ingress", None])
MOMENTS = st.integers(0, 40 * 20).map(lambda n: START_NS + n * 50_000) | st.integers(-5, 2**63 + 5)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Draw rows of all kinds, with enough good ones among them for a capture."""
    drawn: list[Row] = [frame(START_NS + i * 17 * MS, draw(st.floats(0.01, 50))) for i in range(30)]
    for _ in range(draw(st.integers(0, 30))):
        ts_ns = draw(MOMENTS)
        if draw(st.booleans()):
            drawn.append(drop(ts_ns, pair=draw(st.sampled_from([PAIR, PAIR, ("a", "b")]))))
            continue
        power = {"power_w": draw(NUMBERS), "energy_j": draw(NUMBERS)} if draw(st.booleans()) else {"power_why": "gap"}
        odd: Row = frame(ts_ns, draw(NUMBERS), **power)
        odd["kv"]["pair"] = draw(STAGES)
        odd["sim"] = draw(st.booleans())
        drawn.append(odd)
    return draw(st.permutations(drawn))


@st.composite
def power(draw: st.DrawFn) -> list[Row]:
    """Draw readings of a board with holes in them."""
    drawn: list[Row] = []
    at_ns = START_NS + draw(st.integers(-2000, 500)) * MS
    for _ in range(draw(st.integers(0, 4))):
        end_ns = at_ns + draw(st.integers(1, 600)) * MS
        drawn += board(at_ns, end_ns, watts=draw(st.floats(0, 1000)), step_ms=draw(st.integers(10, 300)))
        at_ns = end_ns + draw(st.integers(0, 4000)) * MS
    return drawn


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One folder for all examples, in which each session replaces the one before."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def export(folder: Path, recorded: list[Row], readings: list[Row], *args: str) -> Path:
    shutil.rmtree(folder / "sessions", ignore_errors=True)
    recording = Recording(folder)
    recording.aligned(recorded)
    recording.raw(readings)
    out = folder / "out.csv"
    assert main(["--data-root", str(folder), "--session", "dev", "--out", str(out), *args]) == 0
    return out


def check_both(out: Path) -> tuple[Capture, Capture]:
    """Judge both files, read them with the reference importer, and see that they say the same."""
    assert [f for path in (out, out.with_suffix(".json")) for f in findings(path)] == []
    csv, native = read_csv(out), read_json(out.with_suffix(".json"))
    assert csv.frame_ms == native.frame_ms
    assert csv.dropped == native.dropped
    assert csv.pc_latency_ms in (native.pc_latency_ms, [])
    assert native.seconds == sorted(native.seconds)
    assert min(native.frame_ms) > 0
    return csv, native


ENOUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@ENOUGH
@given(
    recorded=rows(),
    readings=power(),
    metric=st.sampled_from(["latency", "interval"]),
    drops=st.sampled_from(["rows", "omit"]),
)
def test_any_rows_give_files_that_pass_every_rule(
    folder: Path, recorded: list[Row], readings: list[Row], metric: str, drops: str
) -> None:
    out = export(folder, recorded, readings, "--metric", metric, "--drops", drops)
    csv, _ = check_both(out)
    assert any(csv.dropped) <= (drops == "rows")


def usable(row: Row) -> bool:
    value = row["kv"]["lat_ms"]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value <= 1e9 and 0 <= row["ts_aligned_ns"] < 2**63


@ENOUGH
@given(recorded=rows())
def test_every_usable_row_of_the_pair_is_there_once_and_in_order(folder: Path, recorded: list[Row]) -> None:
    out = export(folder, recorded, [])
    native = read_json(out.with_suffix(".json"))
    ours = [row for row in recorded if row["kv"]["pair"] == list(PAIR) and 0 <= row["ts_aligned_ns"] < 2**63]
    frames = [row for row in ours if row["source"] == "metric.latency" and usable(row)]
    lost = [row for row in ours if row["source"] == "metric.dropped"]
    assert len(native.frame_ms) == len(frames) + len(lost)
    assert sum(native.dropped) == len(lost)
    first_ns = min(row["ts_aligned_ns"] for row in frames + lost)
    expected = sorted((row["ts_aligned_ns"] - first_ns) / 1e9 for row in frames + lost)
    assert native.seconds == pytest.approx(expected)
    latencies = sorted(max(round(float(row["kv"]["lat_ms"]), 6), 1e-6) for row in frames)
    assert sorted(ms for ms, gone in zip(native.frame_ms, native.dropped, strict=True) if not gone) == latencies


@ENOUGH
@given(readings=power())
def test_no_array_holds_a_value_outside_its_readings(folder: Path, readings: list[Row]) -> None:
    recorded = [frame(START_NS + i * 50 * MS, 10.0) for i in range(60)]
    out = export(folder, recorded, readings)
    _, native = check_both(out)
    watts = [reading["kv"]["p_sys"] for reading in readings]
    array = native.power["PmdSystemPower"]
    assert all(min(watts) - 1e-3 <= value <= max(watts) + 1e-3 for value in array)
    for k in range(len(array)):
        begin_ns, end_ns = START_NS + k * native.step_ms * MS, START_NS + (k + 1) * native.step_ms * MS
        assert covered(sorted(reading["ts_ns"] for reading in readings), begin_ns, end_ns)


def covered(ts_ns: list[int], begin_ns: int, end_ns: int) -> bool:
    """Tell whether two readings at most 2.5 s apart have a stretch between them inside the cell."""
    return any(0 < b - a <= 2_500 * MS and a < end_ns and b > begin_ns for a, b in pairwise(ts_ns))


def test_grid_values_hold_the_energy_of_the_readings(folder: Path) -> None:
    chance = random.Random(7)
    at_ns, readings = START_NS - S, []
    while at_ns < START_NS + 12 * S:
        readings.append({"ts_ns": at_ns, "source": "benchlab.usb", "kv": {"p_sys": chance.uniform(50, 400)}})
        at_ns += chance.randrange(20, 180) * MS
    out = export(folder, [frame(START_NS + i * 20 * MS, 10.0) for i in range(501)], readings)
    _, native = check_both(out)
    array = native.power["PmdSystemPower"]
    span_ns = len(array) * native.step_ms * MS
    exported_j = sum(array) * native.step_ms / 1000
    assert exported_j == pytest.approx(exact_j(readings, START_NS, START_NS + span_ns), rel=1e-5)


def exact_j(readings: list[Any], from_ns: int, to_ns: int) -> float:
    """Integrate straight lines between readings over a stretch, by cutting it at every reading."""

    def at(ts_ns: int) -> float:
        for a, b in pairwise(readings):
            if a["ts_ns"] <= ts_ns <= b["ts_ns"]:
                share = (ts_ns - a["ts_ns"]) / (b["ts_ns"] - a["ts_ns"])
                return float(a["kv"]["p_sys"] + share * (b["kv"]["p_sys"] - a["kv"]["p_sys"]))
        raise AssertionError("outside the readings")

    knots = [from_ns, *(r["ts_ns"] for r in readings if from_ns < r["ts_ns"] < to_ns), to_ns]
    return math.fsum((at(a) + at(b)) / 2 * (b - a) / 1e9 for a, b in pairwise(knots))


@given(st.lists(st.integers(0, 50)))
def test_sorting_with_the_disorder_that_was_seen_is_a_stable_sort(times: list[int]) -> None:
    disorder = max((max(times[: i + 1]) - t for i, t in enumerate(times)), default=0)
    given_rows = [(t, float(i), math.nan, math.nan) for i, t in enumerate(times)]
    assert [row[:2] for row in in_order(given_rows, disorder)] == sorted(row[:2] for row in given_rows)


def test_long_disordered_captures_are_sorted_in_pieces(tmp_path: Path) -> None:
    chance = random.Random(3)
    times = [START_NS + i * MS + chance.randrange(2000) * MS for i in range(200_000)]
    aligned = (Aligned(**frame(t, 10.0)) for t in times)
    with Spool(ROW_LAYOUT, tmp_path) as spool:
        got = collect(aligned, Selection(PAIR), spool)
        assert got.disorder_ns < 2 * S
        assert [row.ts_ns for row in in_order(got.rows, got.disorder_ns)] == sorted(times)
