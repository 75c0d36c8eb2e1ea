"""The benchmark of history runs the real webd on a session that it makes."""

from __future__ import annotations

import json
import subprocess
import sys

from support.tree import REPOSITORY, program_env


def test_a_long_session_is_indexed_opened_and_zoomed_into() -> None:
    command = [sys.executable, "-m", "benchmarks", "history", "--frames", "20000", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["History: a long session in the dashboard"]
    assert found["index_bytes"] > 0
    assert found["zoom to 5 s"]["ms"]["least"] > 0
