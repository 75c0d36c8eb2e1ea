"""The benchmark of pimon's API asks and counts; how fast it is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys

from support.tree import REPOSITORY, program_env


def test_every_way_of_asking_is_answered_without_an_error() -> None:
    command = [sys.executable, "-m", "benchmarks", "pistat", "--seconds", "1", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["pimon: requests"]
    assert [way["errors"] for way in found.values()] == [0, 0, 0, 0]
    assert all(way["requests_s"] > 0 for name, way in found.items() if name != "idle")
    assert all(way["peak_mib"] > 0 for way in found.values())
