"""The probe's benchmark plays a real pipeline, and every buffer is timed in every element."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from support.tree import REPOSITORY, program_env


def test_every_buffer_is_timed_with_and_without_a_probe(component: Callable[[str, str], str]) -> None:
    component("gst-launch-1.0", "gstreamer1.0-tools")
    pytest.importorskip("gi", reason="pip install -r requirements-gst.txt")
    command = [sys.executable, "-m", "benchmarks", "probe", "--seconds", "1", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    cost = found["Probe: cost a buffer"]
    assert {cost[name]["buffers"] for name in ("plain", "probed", "wrapped")} == {60}
    assert cost["probed_adds"]["p50_us"] == pytest.approx(cost["probed"]["p50_us"] - cost["plain"]["p50_us"])
    assert set(found["Probe: the program"]) == {"pipeline_probes", "gst-launch-1.0"}
