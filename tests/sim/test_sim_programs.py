"""The simulating collectors as programs: what they write, how they stop, what they refuse."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import json

from benchlab.catalog import unknown_keys
from benchlab.event import META, Event
from benchlabd.main import main as benchlabd_main
from pipeline_probes import r5c_capture
from support.tree import REPOSITORY, program_env

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

R5C = "pipeline_probes.r5c_capture"
YUAN = "pipeline_probes.yuan_capture"
BOARD = "benchlabd"
STREAMS = {R5C: "pipeline", YUAN: "pipeline_yuan", BOARD: "benchlab"}
PATIENCE_S = 30.0


def raw(root: Path, stream: str, session: str = "s") -> Path:
    return root / "sessions" / session / "raw" / f"{stream}.jsonl"


def events_of(path: Path) -> list[Event]:
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.decode(line, type=Event) for line in whole.splitlines()]


def wait_for(path: Path, count: int) -> list[Event]:
    """Return the events of a stream once it has ``count`` that are not meta."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = events_of(path)
        if sum(event.source != META for event in found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} never had {count} events")


def stop(process: subprocess.Popen[bytes], by: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(by)
    return process.wait(PATIENCE_S)


@pytest.mark.parametrize(("program", "by"), [(R5C, signal.SIGTERM), (YUAN, signal.SIGINT), (BOARD, signal.SIGTERM)])
def test_a_signal_ends_a_stream_of_marked_events_with_a_stop_line(
    program: str, by: signal.Signals, start: Start, tmp_path: Path
) -> None:
    process = start(program, "--data-root", str(tmp_path), "--session", "s", "--simulate")
    path = raw(tmp_path, STREAMS[program])
    wait_for(path, 5)
    assert stop(process, by) == 0
    events = events_of(path)
    assert path.read_bytes().endswith(b"\n")
    assert [event.kv["event"] for event in (events[0], events[-1])] == ["start", "stop"]
    assert [event.seq for event in events] == list(range(len(events)))
    recorded = [event for event in events if event.source != META]
    assert all(event.sim for event in recorded)
    assert [unknown_keys(event.source, event.kv.items()) for event in recorded] == [[]] * len(recorded)


def test_start_line_says_how_the_stream_is_stamped_and_how_disordered_it_may_be(start: Start, tmp_path: Path) -> None:
    start(BOARD, "--data-root", str(tmp_path), "--session", "s", "--simulate", "--hz", "20")
    first = wait_for(raw(tmp_path, "benchlab"), 1)[0].kv
    assert first["disorder_ms"] == 20
    (row,) = first["sources"]
    assert row["source"] == "benchlab.usb"
    assert row["stamping"] == "midpoint"
    assert row["period_ms"] == 50.0
    assert {"version", "boot_id", "config_digest"} <= first.keys()


def test_lines_lie_no_further_apart_in_disorder_than_declared(start: Start, tmp_path: Path) -> None:
    start(
        R5C,
        "--data-root",
        str(tmp_path),
        "--session",
        "s",
        "--simulate",
        "--fps",
        "500",
        "--jitter-ms",
        "0.5",
    )
    highest = 0
    for event in wait_for(raw(tmp_path, "pipeline"), 1_000):
        assert event.ts_ns > highest - 20_000_000
        highest = max(highest, event.ts_ns)


def test_killed_and_restarted_frames_go_on_and_no_number_comes_twice(start: Start, tmp_path: Path) -> None:
    arguments = ("--data-root", str(tmp_path), "--session", "s", "--simulate")
    path = raw(tmp_path, "pipeline")
    first = start(R5C, *arguments)
    wait_for(path, 60)
    first.kill()
    first.wait()
    before = len([event for event in events_of(path) if event.source != META])
    start(R5C, *arguments)
    events = wait_for(path, before + 60)
    entered = [event.kv["frame"] for event in events if event.kv.get("stage") == "ingress"]
    assert entered == sorted(set(entered))
    stories = [event.kv["event"] for event in events if event.source == META]
    assert stories[:3] == ["start", "gap", "start"]
    assert [event.seq for event in events] == list(range(len(events)))


def test_two_captures_side_by_side_keep_their_flows_apart(start: Start, tmp_path: Path) -> None:
    arguments = ("--data-root", str(tmp_path), "--session", "s", "--simulate")
    both = [start(R5C, *arguments), start(YUAN, *arguments)]
    flows = {}
    for stream in ("pipeline", "pipeline_yuan"):
        found = wait_for(raw(tmp_path, stream), 40)
        flows[stream] = {event.kv["flow"] for event in found if event.source != META}
    assert [stop(process) for process in both] == [0, 0]
    assert flows == {"pipeline": {"r5c"}, "pipeline_yuan": {"yuan"}}


def test_a_second_writer_of_a_stream_is_told_who_holds_it(start: Start, run: Run, tmp_path: Path) -> None:
    arguments = ("--data-root", str(tmp_path), "--session", "s", "--simulate")
    first = start(R5C, *arguments)
    wait_for(raw(tmp_path, "pipeline"), 1)
    second = run(R5C, *arguments)
    assert second.returncode == 5
    assert str(first.pid) in second.stderr
    assert "pipeline.jsonl" in second.stderr


def test_stream_flow_and_stages_can_be_chosen(start: Start, tmp_path: Path) -> None:
    stages = ("ingress", "encoded", "inference_done")
    start(
        YUAN, "--data-root", str(tmp_path), "--session", "s", "--simulate", "--stream", "third",
        "--flow", "left_eye", "--drop-rate", "0", "--stages", *stages,
        "--latency-median-ms", "10.5", "40", "--latency-p99-ms", "25", "60",
    )  # fmt: skip
    events = [event for event in wait_for(raw(tmp_path, "third"), 90) if event.source != META]
    assert {event.kv["flow"] for event in events} == {"left_eye"}
    seen: dict[int, list[str]] = {}
    for event in events:
        seen.setdefault(event.kv["frame"], []).append(event.kv["stage"])
    assert tuple(seen[min(seen)]) == stages
    assert not raw(tmp_path, "pipeline_yuan").exists()


@pytest.mark.parametrize("program", [R5C, YUAN, BOARD])
def test_without_simulate_nothing_is_made_up_and_nothing_is_written(program: str, run: Run, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no-device")
    ended = run(program, "--data-root", str(tmp_path / "root"), "--device", nowhere, "--once", "--json")
    assert ended.returncode == 4
    events = [json.decode(line, type=Event) for line in ended.stdout.splitlines()]
    assert [event.kv["event"] for event in events] == ["source_down"]
    assert nowhere in str(events[0].kv["reason"])
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("program", [R5C, BOARD])
def test_once_prints_marked_events_and_records_nothing(program: str, run: Run, tmp_path: Path) -> None:
    ended = run(program, "--data-root", str(tmp_path / "root"), "--simulate", "--once", "--json")
    assert ended.returncode == 0
    events = [json.decode(line, type=Event) for line in ended.stdout.splitlines()]
    assert events
    assert all(event.sim for event in events)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("program", "arguments", "named"),
    [
        (R5C, ("--stages", "ingress"), "stages"),
        (R5C, ("--stages", "a", "b", "c", "--latency-p99-ms", "20", "30", "40"), "--latency-p99-ms"),
        (R5C, ("--latency-median-ms", "30"), "median"),
        (R5C, ("--drop-rate", "2"), "drop rate"),
        (R5C, ("--fps", "0"), "frames a second"),
        (R5C, ("--jitter-ms", "10"), "jitter"),
        (R5C, ("--stream", "../escape"), "--stream"),
        (R5C, ("--source", "gpu.nvml"), "--source"),
        (BOARD, ("--load-step-s", "0"), "step"),
        (BOARD, ("--idle-w", "500"), "idle"),
        (BOARD, ("--hz", "50"), "--allow-fast-polling"),
        (BOARD, ("--seed", "one"), "--seed"),
    ],
)
def test_impossible_arguments_are_refused_by_name(
    program: str, arguments: tuple[str, ...], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = {R5C: r5c_capture.main, BOARD: benchlabd_main}[program]
    try:
        code: object = main(["--data-root", str(tmp_path / "root"), "--simulate", *arguments])
    except SystemExit as usage:
        code = usage.code
    assert code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "root").exists()


def test_fast_polling_is_allowed_when_asked_for(start: Start, tmp_path: Path) -> None:
    start(
        BOARD,
        "--data-root",
        str(tmp_path),
        "--session",
        "s",
        "--simulate",
        "--hz",
        "50",
        "--allow-fast-polling",
    )
    assert wait_for(raw(tmp_path, "benchlab"), 1)[0].kv["period_ms"] == 20.0


def test_a_rate_from_the_configuration_is_held_down_to_what_the_device_stands(start: Start, tmp_path: Path) -> None:
    start(BOARD, "--data-root", str(tmp_path), "--session", "s", "--simulate", BENCHLAB_SAMPLE_HZ="100")
    assert wait_for(raw(tmp_path, "benchlab"), 1)[0].kv["period_ms"] == 25.0


@pytest.mark.parametrize(
    "script", ["benchlabd/main.py", "pipeline_probes/r5c_capture.py", "pipeline_probes/yuan_capture.py"]
)
def test_help_gives_every_flag_its_default(script: str) -> None:
    told = subprocess.run(
        [sys.executable, str(REPOSITORY / "apps" / script), "--help"],
        env=program_env(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    simulator = told.partition("simulator:")[2].partition("examples:")[0]
    flags = re.findall(r"^  (--[a-z0-9-]+)", simulator, re.MULTILINE)
    assert "--seed" in flags
    assert simulator.count("(default:") == len(flags)
