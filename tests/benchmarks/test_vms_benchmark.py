"""The benchmark of vmstatd watches it record; how fast it is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys

from support.tree import REPOSITORY, program_env


def test_every_number_of_machines_is_recorded() -> None:
    command = [sys.executable, "-m", "benchmarks", "vms", "--seconds", "6", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["Virtual machines"]
    assert len(found) == 3
    assert all(one["lines_s"] > 0 and one["peak_mib"] > 0 for one in found.values())
