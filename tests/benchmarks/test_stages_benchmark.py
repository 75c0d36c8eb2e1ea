"""The benchmark of stages runs the real collector and programs that send to it."""

from __future__ import annotations

import json
import subprocess
import sys

from support.tree import REPOSITORY, program_env


def test_stages_arrive_and_calls_are_timed_beside_their_peers() -> None:
    command = [sys.executable, "-m", "benchmarks", "stages", "--seconds", "0.5", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for one in found["Stages: 100,000 a second"].values():
        assert 0 < one["recorded"] <= one["sent"]
    calls = found["Stages: what a call takes"]
    assert [name for name in calls if name.startswith("benchlab.stage")] and len(calls) == 6
    for one in calls.values():
        assert 0 < one["paced"]["p50_ns"] <= one["paced"]["p99_ns"]
        assert one["in_a_row"]["calls_s"] > one["paced"]["calls_s"] > 0
