"""The two programs of the replay benchmark are worth comparing only while they write the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.recording import write_session
from benchmarks.replay import FILES, muxd_command, plain_command
from benchmarks.same import DifferentError, same_rows
from benchmarks.table import Section

from support.tree import REPOSITORY, program_env


@pytest.fixture(scope="module")
def muxed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 6,000 frames that went through both programs."""
    root = tmp_path_factory.mktemp("recording")
    write_session(root / "sessions" / "recorded", 6000)
    (root / "config.toml").touch()
    for command in (muxd_command(root), plain_command(root)):
        subprocess.run(command, env=program_env(), check=True)
    return root


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("file", FILES)
def test_plain_program_writes_the_same_rows_as_muxd(muxed: Path, file: str) -> None:
    assert same_rows(muxed / "muxd" / file, muxed / "plain" / file) > 100


def test_recording_brings_every_kind_of_drop_and_every_state_of_power(muxed: Path) -> None:
    kvs = [row["kv"] for row in rows(muxed / "muxd" / "latency.jsonl")]
    reasons = {kv["reason"] for kv in kvs if "reason" in kv}
    assert reasons == {"lost", "orphan", "duplicate", "open_at_end"}
    assert {kv["power_why"] for kv in kvs if "power_why" in kv} == {"before_first", "gap", "after_last"}
    assert {kv["power_source"] for kv in kvs if "power_w" in kv} == {"benchlab.usb:p_sys", "gpu.nvml:power_w"}


def test_recording_holds_lines_out_of_order(muxed: Path) -> None:
    times = [row["ts_ns"] for row in rows(muxed / "sessions" / "recorded" / "raw" / "pipeline.jsonl")]
    assert times != sorted(times)


def test_same_size_and_seed_give_the_same_bytes(tmp_path: Path, muxed: Path) -> None:
    write_session(tmp_path, 6000)
    for path in sorted((tmp_path / "raw").iterdir()):
        assert path.read_bytes() == (muxed / "sessions" / "recorded" / "raw" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ('{"kv":{"w":1.5}}\n{"kv":{"w":2.0000001}}\n', "line 2"),
        ('{"kv":{"w":1.5}}\n', "line 2"),
        ('{"kv":{"w":1.5}}\n{"kv":{"w":2.0,"frame":1}}\n', "line 2"),
        ('{"kv":{"w":true}}\n{"kv":{"w":2.0}}\n', "line 1"),
    ],
)
def test_row_that_says_something_else_is_found(tmp_path: Path, other: str, line: str) -> None:
    (tmp_path / "a").write_text('{"kv":{"w":1.5}}\n{"kv":{"w":2.0}}\n')
    (tmp_path / "b").write_text(other)
    with pytest.raises(DifferentError, match=line):
        same_rows(tmp_path / "a", tmp_path / "b")


def test_rounding_of_the_last_digit_is_no_difference(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"pair":["x","y"],"w":0.30000000000000004}\n')
    (tmp_path / "b").write_text('{"w":0.3,"pair":["x","y"]}\n')
    assert same_rows(tmp_path / "a", tmp_path / "b") == 1


def test_table_lines_up() -> None:
    text = Section("Title", ["program", "CPU s"], [["muxd", "1.25"], ["plain program", "10.00"]]).text()
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({len(line) for line in table}) == 1
    assert table[2] == "| muxd          |  1.25 |"


def benchmarks(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *args]
    return subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=120)


def test_json_of_the_command_says_what_was_compared() -> None:
    done = benchmarks("replay", "--frames", "2000", "--rounds", "2", "--json")
    found = json.loads(done.stdout)["Replay"]
    assert (found["frames"], found["rounds"], found["asked"]["ratio"]) == (2000, 2, 2.5)
    assert found["rows"] > 2000
    assert found["cpu_ratio"]["least"] <= found["cpu_ratio"]["middle"] <= found["cpu_ratio"]["greatest"]
    assert {len(runs) for runs in found["programs"].values()} == {2}


def test_unknown_benchmark_is_a_usage_error() -> None:
    done = benchmarks("rewind")
    assert (done.returncode, done.stdout) == (2, "")
    assert "found rewind, expected one of replay, whole, live, collectors" in done.stderr
