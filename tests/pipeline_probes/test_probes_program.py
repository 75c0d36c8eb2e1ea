"""pipeline_probes and the capture programs as they are started: what is recorded, how they end, what they refuse."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from benchlab.catalog import unknown_keys
from benchlab.event import META, PIPELINE, Event
from pipeline_probes.main import main
from support.processes import Run, Start, until
from support.tree import program_env

PROBES = "pipeline_probes"
A_RACE = 2  # a queue says that it is full, and then has room after all
R5C = "pipeline_probes.r5c_capture"
YUAN = "pipeline_probes.yuan_capture"
SMALL = "video/x-raw,width=64,height=48,framerate=100/1"
DOCUMENTED = "videotestsrc is-live=true ! tee name=ingress ! x264enc name=enc ! fakesink"
STAGES = ("--stage", "ingress=ingress.src", "--stage", "encoded=enc.src")


def events_of(path: Path) -> list[Event]:
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.decode(line, type=Event) for line in whole.splitlines()]


def raw(root: Path, stream: str = "pipeline") -> Path:
    return root / "sessions" / "s" / "raw" / f"{stream}.jsonl"


def of(events: list[Event], stage: str) -> list[Event]:
    return [event for event in events if event.source == PIPELINE and event.kv["stage"] == stage]


def metas(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [event.kv for event in events if event.source == META and event.kv["event"] == kind]


def test_documented_command_records_both_stages_until_it_is_stopped(gst: Any, start: Start, tmp_path: Path) -> None:
    where = ("--data-root", str(tmp_path), "--session", "s")
    process = start(PROBES, *where, "--pipeline", DOCUMENTED, *STAGES)
    until(lambda: len(of(events_of(raw(tmp_path)), "encoded")) > 5, 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    events = events_of(raw(tmp_path))
    ingress, encoded = of(events, "ingress"), of(events, "encoded")
    entered = {event.kv["pts_ns"]: event.ts_ns for event in ingress}
    assert all(event.ts_ns > entered[event.kv["pts_ns"]] for event in encoded)
    assert len(entered) == len(ingress)
    assert {event.kv["flow"] for event in ingress} == {"gst"}
    assert not any(event.sim for event in events)
    assert [event for event in ingress if unknown_keys(event.source, event.kv.items())] == []
    (first,) = metas(events, "start")
    assert first["disorder_ms"] == 20
    assert first["sources"][0]["pipeline"] == DOCUMENTED
    assert [event.seq for event in events] == list(range(len(events)))
    assert len(metas(events, "stop")) == 1


def test_pipeline_that_ends_ends_the_program_and_muxd_pairs_all_its_frames(gst: Any, run: Run, tmp_path: Path) -> None:
    """Also: lines of a kind that muxd does not know (caps, dropped) do it no harm."""
    text = (
        f"videotestsrc num-buffers=200 is-live=true ! {SMALL} ! tee name=ingress "
        "! queue name=narrow leaky=downstream max-size-buffers=1 ! identity sleep-time=15000 "
        "! x264enc name=enc tune=zerolatency speed-preset=ultrafast ! fakesink sync=false"
    )
    where = ("--data-root", str(tmp_path), "--session", "s")
    done = run(PROBES, *where, "--pipeline", text, *STAGES)
    assert done.returncode == 0, done.stderr
    events = events_of(raw(tmp_path))
    assert metas(events, "source_down")[-1]["reason"] == "the pipeline came to its end"
    assert {line["stage"] for line in metas(events, "caps")} == {"ingress", "encoded"}
    assert all(isinstance(line["caps"], str) for line in metas(events, "caps"))
    lost = 200 - len(of(events, "encoded"))
    assert len(of(events, "ingress")) == 200
    assert 0 < lost <= sum(line["n"] for line in metas(events, "dropped")) <= lost + A_RACE
    assert run("benchctl", "session", "close", "s", "--data-root", str(tmp_path)).returncode == 0
    assert run("muxd", *where, "--once", "--prom-bind", "127.0.0.1:0").returncode == 0
    rows = [json.decode(line) for line in (tmp_path / "sessions/s/aligned/latency.jsonl").open("rb")]
    outcome = Counter((row["kv"].get("match") or "unpaired") for row in rows)
    assert outcome["pts"] == 200 - lost
    assert set(outcome) == {"pts", "unpaired"}
    verified = run("benchctl", "verify", "s", "--data-root", str(tmp_path))
    assert verified.returncode == 0, verified.stdout


def test_file_that_a_pipeline_writes_is_whole_after_sigterm(gst: Any, start: Start, run: Run, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    text = (
        f"videotestsrc is-live=true ! {SMALL} ! x264enc name=enc tune=zerolatency speed-preset=ultrafast "
        f"! mp4mux ! filesink location={clip}"
    )
    where = ("--data-root", str(tmp_path), "--session", "s")
    process = start(PROBES, *where, "--pipeline", text, "--stage", "encoded=enc.src")
    until(lambda: len(of(events_of(raw(tmp_path)), "encoded")) > 10, 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    read = f"filesrc location={clip} ! qtdemux name=d ! fakesink"
    assert run(PROBES, "--once", "--pipeline", read, "--stage", "read=d.video_0").returncode == 0


def test_once_shows_one_frame_of_each_stage_and_records_nothing(gst: Any, run: Run, tmp_path: Path) -> None:
    done = run(PROBES, "--data-root", str(tmp_path / "root"), "--pipeline", DOCUMENTED, *STAGES, "--once", "--json")
    assert done.returncode == 0, done.stderr
    events = [json.decode(line, type=Event) for line in done.stdout.splitlines()]
    assert [event.kv["stage"] for event in events] == ["ingress", "encoded"]
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("text", "stage", "reason"),
    [
        ("filesrc location=/nonexistent/clip ! fakesink name=end", "a=end.sink", "Resource not found"),
        ("fakesrc num-buffers=0 ! fakesink name=end", "a=end.sink", "no buffer reached any stage"),
        ("videotestsrc ! valve drop=true ! fakesink name=end", "a=end.sink", "no buffer reached any stage"),
    ],
)
def test_once_without_a_buffer_is_a_device_that_is_not_there(
    gst: Any, run: Run, text: str, stage: str, reason: str
) -> None:
    done = run(PROBES, "--pipeline", text, "--stage", stage, "--once", "--json")
    assert done.returncode == 4
    (line,) = [json.decode(line, type=Event) for line in done.stdout.splitlines()]
    assert reason in line.kv["reason"]


@pytest.mark.parametrize(
    ("program", "device", "flags", "stream"),
    [
        (PROBES, "/nonexistent/video7", ("--device", "/nonexistent/video7"), "pipeline"),
        (R5C, "/nonexistent/video7", ("--device", "/nonexistent/video7"), "pipeline"),
        (YUAN, "/nonexistent/video7", ("--device", "/nonexistent/video7"), "pipeline_yuan"),
    ],
)
def test_device_that_is_not_there_is_one_line_and_waited_for(
    gst: Any, program: str, device: str, flags: tuple[str, ...], stream: str, start: Start, run: Run, tmp_path: Path
) -> None:
    once = run(program, *flags, "--once", "--json")
    assert once.returncode == 4
    (line,) = [json.decode(line, type=Event) for line in once.stdout.splitlines()]
    assert line.kv["reason"] == f"no {device}"
    assert line.kv["fix"]
    process = start(program, "--data-root", str(tmp_path), "--session", "s", *flags)
    until(lambda: metas(events_of(raw(tmp_path, stream)), "alive"), 60)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    events = events_of(raw(tmp_path, stream))
    assert len(metas(events, "source_down")) == 1
    assert [event for event in events if event.source != META] == [], "something was made up"
    assert said.decode().count("is down") == 1


def test_device_preset_with_another_stage(gst: Any, run: Run) -> None:
    done = run(R5C, "--device", "/nonexistent/video7", "--stage", "inference_done=nobody.src", "--once")
    assert done.returncode == 2
    assert "no element nobody, expected one of enc, " in done.stderr


def test_own_pipeline_of_a_preset_takes_its_device_and_flow(gst: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "my card").write_bytes(bytes(300))
    text = "filesrc location={device} blocksize=100 ! tee name=t ! fakesink name=end"
    done = run(
        YUAN, "--device", str(tmp_path / "my card"), "--pipeline", text, "--once", "--json",
        "--stage", "ingress=t.sink", "--stage", "inference_done=end.sink",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.decode(line, type=Event) for line in done.stdout.splitlines()]
    assert [(event.kv["stage"], event.kv["flow"]) for event in events] == [
        ("ingress", "yuan"),
        ("inference_done", "yuan"),
    ]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--stage", "a=b.src"), "neither --pipeline nor --device"),
        (("--pipeline", "videotestsrc ! fakesink"), "no --stage"),
        (("--pipeline", "videotestsrc ! fakesink", "--stage", "ingress"), "NAME=ELEMENT.PAD"),
        (("--pipeline", "videotestsrc ! fakesink", "--stage", "a=b"), "NAME=ELEMENT.PAD"),
        (("--pipeline", "x", "--stage", "capture=a.src"), "expected another name"),
        (("--pipeline", "x", "--stage", "a=b.src", "--stage", "a=c.src"), "a twice"),
        (("--pipeline", "videotestsrc ! fakesink", "--stage", "a=b.src", "--device", "/dev/video0"), "{device}"),
        (("--pipeline", "v4l2src device={device} ! fakesink", "--stage", "a=b.src"), "--device DEV"),
        (("--preset", "betamax"), "r5c"),
        (("--simulate", "--preset", "r5c"), "r5c_capture --simulate"),
    ],
)
def test_flags_that_make_no_sense_are_refused_by_name(
    flags: tuple[str, ...], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as usage:
        main(["--data-root", str(tmp_path / "root"), *flags])
    assert usage.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("text", "stage"),
    [("videotestsrc ! ! fakesink", "a=x.src"), ("videotestsrc ! fakesink name=end", "a=end.src")],
)
def test_pipeline_that_cannot_be_makes_no_session(gst: Any, text: str, stage: str, run: Run, tmp_path: Path) -> None:
    done = run(PROBES, "--data-root", str(tmp_path / "root"), "--pipeline", text, "--stage", stage)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "root").exists()


def test_without_gstreamer_for_python_the_commands_that_install_it_are_told(run: Run, tmp_path: Path) -> None:
    package = tmp_path / "gi"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('no gi here')\n")
    blocked = {"PYTHONPATH": f"{tmp_path}:{program_env()['PYTHONPATH']}"}
    where = ("--data-root", str(tmp_path / "root"), "--session", "s")
    done = run(PROBES, *where, "--pipeline", DOCUMENTED, *STAGES, **blocked)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "sudo apt-get install" in line
    assert "pip install" in line
    assert not (tmp_path / "root").exists()
    once = run(R5C, "--once", "--json", **blocked)
    assert once.returncode == 4
    (event,) = [json.decode(line, type=Event) for line in once.stdout.splitlines()]
    assert "no gi here" in event.kv["reason"]
    assert "pip install" in event.kv["fix"]
