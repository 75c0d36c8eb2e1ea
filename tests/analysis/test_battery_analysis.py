"""Discharges are found, measured and carried on into the future, with an interval that keeps its word."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from pimon.analysis import report
from pimon.analysis.discharge import TimeToEmpty, describe, discharges, time_to_empty
from pimon.analysis.history import Reading
from support.discharges import STEP_S, T0_S, database, discharged, steady
from support.logger_databases import SCHEMAS, original
from support.tree import REPOSITORY


@pytest.mark.parametrize(("mean_phase_s", "widest"), [(120.0, 0.5), (600.0, 1.0), (1800.0, 1.75)])
def test_the_interval_holds_the_true_time_in_at_least_85_of_100_discharges(mean_phase_s: float, widest: float) -> None:
    random, held, wide = Random(20), 0, []
    for _ in range(200):
        run = discharged(random, mean_phase_s)
        now = int(len(run) * random.uniform(0.2, 0.75))
        estimate = time_to_empty(run[:now])
        assert isinstance(estimate, TimeToEmpty)
        held += estimate.low_hours <= (len(run) - now) * STEP_S / 3600 <= estimate.high_hours
        wide.append((estimate.high_hours - estimate.low_hours) / estimate.hours)
    assert held >= 170
    assert held < 200 and sorted(wide)[100] < widest  # an interval that holds everything says nothing


def test_a_steady_discharge_gives_its_known_figures() -> None:
    (stretch,) = discharges(steady(hours=4))
    found = describe(stretch)
    assert (found.duration_s, found.drop_pct, found.pct_per_hour) == pytest.approx((14_400, 40.0, -10.0))
    assert (found.energy_wh, found.mean_w, found.charge_mah) == pytest.approx((12.0, 3.0, 1600.0))
    estimate = time_to_empty(stretch)
    assert isinstance(estimate, TimeToEmpty)
    assert estimate.hours == pytest.approx(6.0)
    assert 5.2 < estimate.low_hours < 6.0 < estimate.high_hours < 7.0


@pytest.mark.parametrize("swing", [0.0001, 0.03])
def test_an_almost_even_load_is_not_taken_for_few_long_phases(swing: float) -> None:
    even = time_to_empty(steady(hours=4))
    watts = [3.0 * (1 + swing * math.sin(i / 230)) for i in range(1441)]
    drifting = time_to_empty([replace(r, power_w=-w) for r, w in zip(steady(hours=4), watts, strict=True)])
    assert isinstance(even, TimeToEmpty) and isinstance(drifting, TimeToEmpty)
    assert drifting.high_hours - drifting.low_hours < 1.5 * (even.high_hours - even.low_hours)


def test_charging_and_gaps_end_a_discharge_and_are_no_part_of_it() -> None:
    first = steady(hours=1)
    charging = [Reading(T0_S + 3600 + i * 10, 90 + i / 36, 5.0, 0.6) for i in range(1, 361)]
    second = steady(hours=1, start_s=T0_S + 7210)
    after_a_gap = steady(hours=2, start_s=T0_S + 20_000)
    found = [describe(stretch) for stretch in discharges([*first, *charging, *second, *after_a_gap])]
    assert [round(d.duration_s) for d in found] == [3600, 3600, 7200]
    assert [d.energy_wh for d in found] == pytest.approx([3.0, 3.0, 6.0])


def test_what_was_not_measured_is_absent_and_the_charge_alone_still_counts() -> None:
    bare = [Reading(r.time_s, r.pct, None, None) for r in steady(hours=2)]
    (stretch,) = discharges(bare)
    found = describe(stretch)
    assert (found.energy_wh, found.mean_w, found.charge_mah) == (None, None, None)
    assert found.pct_per_hour == pytest.approx(-10.0)
    estimate = time_to_empty(stretch)
    assert isinstance(estimate, TimeToEmpty) and estimate.hours == pytest.approx(8.0)


def test_without_percent_or_with_too_little_of_it_there_is_no_telling() -> None:
    blind = [Reading(r.time_s, None, r.power_w, r.current_a) for r in steady(hours=2)]
    assert time_to_empty(blind) == "the charge in percent is not recorded"
    assert describe(blind).energy_wh == pytest.approx(6.0)
    said = time_to_empty(steady(hours=0.1))
    assert isinstance(said, str) and "found 1 % in 6 min, expected" in said


def test_a_clock_that_went_back_is_a_gap() -> None:
    later = steady(hours=1)
    earlier = steady(hours=1, start_s=T0_S - 86_400)
    assert len(discharges([*later, *earlier])) == 2


def run(*args: object) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / "scripts" / "analyze_battery.py"
    return subprocess.run([sys.executable, script, *map(str, args)], capture_output=True, text=True, timeout=60)


def test_the_command_prints_a_table_or_json_and_draws(tmp_path: Path) -> None:
    db = database(tmp_path / "t.db", steady(hours=4))
    done = run(db, "--plot", tmp_path / "p.svg")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2025-11-22 08:26:40" in done.stdout and "12.00" in done.stdout
    assert "time to empty: 6.0 h" in done.stdout and "90 % interval" in done.stdout
    svg = "{http://www.w3.org/2000/svg}"
    lines = [line.get("points", "") for line in ET.parse(tmp_path / "p.svg").iter(f"{svg}polyline")]
    assert len(lines) == 2 + 3  # charge and power, and the three ways to empty
    document = json.loads(run(db, "--json").stdout)
    assert document["time_to_empty"]["hours"] == pytest.approx(6.0)
    assert document["discharges"][0]["energy_wh"] == pytest.approx(12.0)
    assert not document["is_simulated"]


def test_what_is_simulated_is_marked_everywhere(tmp_path: Path) -> None:
    made_up = [Reading(r.time_s, r.pct, r.power_w, r.current_a, True) for r in steady(hours=1)]
    db = database(tmp_path / "t.db", made_up)
    assert "08:26:40 sim" in run(db, "--plot", tmp_path / "p.svg").stdout
    assert "simulated" in (tmp_path / "p.svg").read_text()
    assert json.loads(run(db, "--json").stdout)["is_simulated"]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_database_of_the_original_logger_is_analysed(tmp_path: Path, schema: str) -> None:
    db = original(tmp_path / "t.db", SCHEMAS[schema], range(T0_S, T0_S + 3601, 5))
    (found,) = json.loads(run(db, "--json").stdout)["discharges"]
    assert found["energy_wh"] == pytest.approx(3.0)
    assert found["drop_pct"] is None


def test_only_the_newest_hours_are_analysed_if_asked_for(tmp_path: Path) -> None:
    db = database(tmp_path / "t.db", steady(hours=4))
    (found,) = json.loads(run(db, "--json", "--hours", 1).stdout)["discharges"]
    assert found["duration_s"] == pytest.approx(3600)


def test_without_a_discharge_it_says_so_and_ends_with_1(tmp_path: Path) -> None:
    charging = [Reading(T0_S + i, 50.0, 5.0, 0.6) for i in range(100)]
    done = run(database(tmp_path / "t.db", charging))
    assert done.returncode == 1
    assert "no discharge is recorded" in done.stdout


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all " * 100)
    db = database(tmp_path / "t.db", steady(hours=1))
    bad: list[tuple[list[object], int, str]] = [
        ([tmp_path / "none.db"], 5, "found no such file"),
        ([tmp_path / "text"], 5, "file is not a database"),
        ([db, "--plot", tmp_path / "p.gif"], 2, "found the ending .gif, expected .svg or .png"),
    ]
    for args, code, said in bad:
        done = run(*args)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1)
        assert said in done.stderr


def test_a_png_is_drawn_or_the_missing_library_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = database(tmp_path / "t.db", steady(hours=1))
    code = report.main([str(db), "--plot", str(tmp_path / "p.png")])
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert code == 2
        assert "a PNG needs matplotlib" in capsys.readouterr().err
    else:
        assert code == 0
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
