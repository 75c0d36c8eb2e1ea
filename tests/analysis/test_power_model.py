"""The example of docs/TRAINING.md learns power from an export, and beats the mean on workloads that came later."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from pimon.analysis import features
from support.mux_sessions import append, make_session, meta, mux_closed
from support.pi_ticks import simulated
from support.sink_sessions import store, store_path
from support.tree import REPOSITORY
from support.workloads import workload_database

EXAMPLE = REPOSITORY / "docs" / "examples" / "train_power_model.py"


def logged(folder: Path) -> Path:
    return workload_database(folder / "t.db", 4000, Random(5))


def recorded(folder: Path) -> Path:
    """Return the store of a session of the simulated Pi: four hours on its battery."""
    session = make_session(folder / "s")
    append(session, "pimon", [meta(-1, "start", disorder_ms=50)])
    append(session, "pimon", [event for _, events in simulated(4 * 3600 - 60) for event in events])
    mux_closed(session)
    store(session)
    return store_path(session)


@pytest.fixture(scope="module", params=[logged, recorded])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("workloads")
    features.export(request.param(folder), folder / "f.csv", "csv", with_power_only=True)
    return folder / "f.csv"


def trained(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_model_explains_80_percent_of_later_workloads_and_the_mean_nothing(exported: Path) -> None:
    done = trained(exported, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model_r2"] >= 0.8
    assert found["mean_r2"] <= 0.05
    assert found["model_mae_w"] < found["mean_mae_w"] / 2
    assert found["rows_train"] > 2 * found["rows_test"] > 1000


def test_watts_of_before_are_no_feature_unless_asked_for(exported: Path) -> None:
    example = runpy.run_path(str(EXAMPLE))
    assert not any("watts" in name for name in example["columns"](False))
    with exported.open() as file:
        heading = file.readline().strip().split(",")
    assert set(example["columns"](True)) <= set(heading)


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("time_s,watts\n1,2\n")
    done = trained(tmp_path / "f.csv")
    assert done.returncode == 1
    assert "found 1 rows with watts, expected 100 or more" in done.stderr


def test_the_page_names_only_programs_and_options_that_there_are() -> None:
    page = (REPOSITORY / "docs" / "TRAINING.md").read_text()
    for script in re.findall(r"(?:scripts|docs/examples)/\w+\.py", page):
        assert (REPOSITORY / script).is_file(), script
    programs = [*(REPOSITORY / "apps/pimon").rglob("*.py"), REPOSITORY / "apps/muxd/main.py", EXAMPLE]
    sources = "".join(path.read_text() for path in programs)
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
    assert flags
    assert [flag for flag in flags if f'"{flag}"' not in sources] == []
