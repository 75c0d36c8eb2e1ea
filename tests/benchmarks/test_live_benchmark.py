"""The live benchmarks run the real daemons: they have to come up, be seen at work, and be gone afterwards."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.live import vouched_after_ms

from support.tree import REPOSITORY, program_env


def test_daemons_are_watched_while_frames_pass() -> None:
    command = [sys.executable, "-m", "benchmarks", "live", "collectors", "--seconds", "1", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    load = found["Live: load"]
    assert set(load["default"]["programs"]) == {"telemetryd", "benchlabd", "pipeline_probes.r5c_capture", "muxd"}
    assert load["fast"]["events_s"] > load["default"]["events_s"] > 0
    assert all(one["rss_mib"] > 1 for one in load["default"]["programs"].values())
    delays = found["Live: append to visible"]
    assert 0 < delays["append to the histogram"]["p50_ms"] <= delays["append to the histogram"]["p99_ms"]
    assert 0 < delays["append to the latency gauge"]["p50_ms"] <= delays["append to the latency gauge"]["p99_ms"]
    assert {"telemetryd", "plain Python, psutil and json"} <= set(found["Collectors"])
    assert found["Edge exporter"]["edgepower"]["rss_mib"] > 1


def test_frame_waits_for_the_first_that_is_newer_by_the_disorder() -> None:
    waits_ms = vouched_after_ms([0.0, 0.015, 0.021, 0.030, 0.045])
    assert [round(wait) for wait in waits_ms] == [21, 30, 24]


def test_boards_are_read_by_both_programs() -> None:
    command = [sys.executable, "-m", "benchmarks", "board", "--seconds", "2", "--json"]
    done = subprocess.run(command, env=program_env(), cwd=REPOSITORY, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["Board"]
    assert set(found) == {"10 Hz", "100 Hz"}
    for programs in found.values():
        assert set(programs) == {"benchlabd", "maker's client"}
        assert all(one["readings_s"] > 1 for one in programs.values())
        assert programs["benchlabd"]["trip_ms"]["p50"] > 0
