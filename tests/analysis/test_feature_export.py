"""The exported features are the view, the processes, the energy and the past: each as SQL by hand gives it."""

from __future__ import annotations

import csv
import io
import sqlite3
import subprocess
import sys
from pathlib import Path

import polars
import pytest

from pimon.analysis import features
from support.discharges import T0_S
from support.logger_databases import SCHEMAS, original
from support.tree import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "export_features.py"
SECONDS = [T0_S, T0_S + 5, T0_S + 10, T0_S + 1000]


@pytest.fixture(params=SCHEMAS)
def db(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return original(tmp_path / "t.db", SCHEMAS[request.param], SECONDS)


def exported(db: Path, out: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(db), "--out", str(out), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_csv_has_every_sample_with_its_features(db: Path, tmp_path: Path) -> None:
    done = exported(db, tmp_path / "f.csv")
    assert (done.returncode, done.stdout) == (0, "")
    with (tmp_path / "f.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["ts"]) for row in rows] == SECONDS
    second = rows[1]
    assert (second["watts"], second["topn_cpu_sum"], second["top_cpu"], second["topn_mem_sum"]) == (
        *("3.0", "0.5", "0.5", "0.1"),
    )
    assert float(second["energy_wh"]) == pytest.approx(3.0 * 5 / 3600)
    assert (second["watts_lag1"], second["watts_lag2"]) == ("3.0", "")


def test_nothing_is_carried_over_a_gap(db: Path, tmp_path: Path) -> None:
    exported(db, tmp_path / "f.csv")
    with (tmp_path / "f.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert (last["energy_wh"], last["watts_lag1"], last["cpu_total_lag3"]) == ("", "", "")
    assert last["step_s"] == "990"


def test_parquet_holds_the_same_as_csv_with_types(db: Path, tmp_path: Path) -> None:
    assert exported(db, tmp_path / "f.csv").returncode == 0
    assert exported(db, tmp_path / "f.parquet").returncode == 0
    table = polars.read_parquet(tmp_path / "f.parquet")
    text = polars.read_csv(tmp_path / "f.csv", infer_schema_length=None)
    assert table.columns == text.columns
    assert table["ts"].dtype == polars.Int64 and table["watts"].dtype == polars.Float64
    for name in ("ts", "watts", "energy_wh", "watts_lag1", "topn_cpu_sum", "voltage"):
        assert table[name].to_list() == text[name].to_list(), name
    assert table["sim"].to_list() == [False] * 4


def test_samples_without_power_are_left_out_if_asked_for(db: Path, tmp_path: Path) -> None:
    with sqlite3.connect(db) as connection:
        connection.execute("UPDATE system_sample SET power = NULL WHERE ts = ?", (SECONDS[1],))
    assert "3 rows" in exported(db, tmp_path / "f.csv", "--with-power-only").stderr
    with (tmp_path / "f.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["ts"]) for row in rows] == [SECONDS[0], SECONDS[2], SECONDS[3]]
    assert rows[1]["watts_lag1"] == ""  # of the sample before, whether or not that is exported


def test_a_failed_export_leaves_the_older_file(db: Path, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("older")
    done = exported(tmp_path / "none.db", tmp_path / "f.csv")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert exported(db, tmp_path / "nowhere" / "f.csv").returncode == 5
    assert (tmp_path / "f.csv").read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_without_pyarrow_the_fix_is_named(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert features.main([str(db), "--out", str(tmp_path / "f.parquet")]) == 2
    assert "[store]" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_shown_on_a_terminal(db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert features.main([str(db), "--out", str(tmp_path / "f.csv")]) == 0
    said = terminal.getvalue()
    assert "exporting" in said and "100%" in said
