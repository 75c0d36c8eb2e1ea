"""data/sample/ is what its maker makes, and muxd finds in it what was put in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchlab.query.percentiles import percentiles

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "data" / "sample"
MAKER = REPOSITORY / "scripts" / "make_sample.py"
ANSWERS: dict[str, Any] = json.loads((SAMPLE / "answers.json").read_text())

Row = dict[str, Any]


def make(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(MAKER), *args], capture_output=True, text=True)


def test_sample_is_what_its_maker_makes() -> None:
    done = make("--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["pipeline.jsonl", "answers.json", "README.md"])
def test_changed_sample_is_noticed(tmp_path: Path, name: str) -> None:
    make("--out", str(tmp_path))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
    done = make("--check", "--out", str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path / name) in done.stderr


def test_every_whole_line_of_the_sample_is_marked_as_simulated() -> None:
    torn = 0
    for path in sorted(SAMPLE.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                assert json.loads(line)["sim"] is True
            except json.JSONDecodeError:
                torn += 1
    assert torn == ANSWERS["bad"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a session that is only the sample's raw files, after muxd has read it once."""
    root = tmp_path_factory.mktemp("sample")
    folder = root / "sessions" / "dev"
    (folder / "raw").mkdir(parents=True)
    for path in SAMPLE.glob("*.jsonl"):
        shutil.copy(path, folder / "raw")
    args = ["--data-root", str(root), "--session", "dev", "--pair", "ingress", "encoded"]
    env = {"PYTHONPATH": f"{REPOSITORY / 'apps'}:{REPOSITORY / 'libs'}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "muxd", *args, "--once", "--prom-bind", "127.0.0.1:0"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def rows(session: Path) -> list[Row]:
    return read(session / "aligned" / "latency.jsonl")


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def of(rows: list[Row], source: str) -> list[Row]:
    return [row["kv"] for row in rows if row["source"] == source]


def test_pairs_and_latencies_are_the_known_ones(rows: list[Row]) -> None:
    latencies = [kv["lat_ms"] for kv in of(rows, "metric.latency")]
    assert len(latencies) == ANSWERS["pairs"]
    assert percentiles(latencies) == pytest.approx(list(ANSWERS["lat_ms"].values()), abs=1e-6)


def test_drops_are_the_known_frames_for_the_known_reasons(rows: list[Row]) -> None:
    drops: dict[str, list[int]] = {reason: [] for reason in ANSWERS["dropped"]}
    for kv in of(rows, "metric.dropped"):
        drops[kv["reason"]].append(kv["frame"])
    assert {reason: sorted(frames) for reason, frames in drops.items()} == ANSWERS["dropped"]


def test_power_and_energy_are_the_known_ones(rows: list[Row]) -> None:
    pairs = of(rows, "metric.latency")
    assert {kv["power_source"] for kv in pairs} == {"benchlab.usb:p_sys"}
    assert sum(kv["power_w"] for kv in pairs) / len(pairs) == pytest.approx(ANSWERS["mean_power_w"], rel=1e-9)
    assert sum(kv["energy_j"] for kv in pairs) == pytest.approx(ANSWERS["total_energy_j"], rel=1e-9)


@pytest.mark.parametrize("quantity", ["lat_ms", "power_w", "energy_j", "power_age_ms"])
def test_frame_computed_by_hand_comes_out(rows: list[Row], quantity: str) -> None:
    worked = ANSWERS["worked"]
    (kv,) = [kv for kv in of(rows, "metric.latency") if kv["frame"] == worked["frame"]]
    assert kv[quantity] == pytest.approx(worked[quantity], rel=1e-6)


def test_rows_of_simulated_data_say_so(rows: list[Row]) -> None:
    assert all(row["sim"] is True for row in rows)


def test_late_line_is_counted_and_torn_line_set_aside(session: Path) -> None:
    late = of(read(session / "aligned" / "signals.jsonl"), "metric.late")
    assert [kv["stream"] for kv in late] == ["pipeline.jsonl"] * ANSWERS["late"]
    bad = read(session / "quarantine" / "pipeline.jsonl")
    assert len(bad) == ANSWERS["bad"]
    raw = (session / "raw" / "pipeline.jsonl").read_bytes()
    assert raw[bad[0]["offset"] :].startswith(bad[0]["head"].encode())


Run = Callable[..., subprocess.CompletedProcess[str]]


def test_ledger_of_the_sample_balances_and_its_torn_line_is_a_finding(session: Path, run: Run) -> None:
    done = run("benchctl", "--data-root", str(session.parents[1]), "verify", "dev")
    assert done.returncode == 1, done.stderr
    assert "bad" in done.stdout
