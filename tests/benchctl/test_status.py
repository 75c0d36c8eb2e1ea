"""status on sessions in every state they are found in."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchctl.session_status import session_status
from benchctl.stream_status import stream_status
from benchlab.event import META, Event, encode_lines, meta
from benchlab.files import FileLock
from benchlab.log.writer import LogWriter
from benchlab.session import Session, new_session

Benchctl = Callable[..., "subprocess.CompletedProcess[str]"]
S = 1_000_000_000
MIB = 1 << 20


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = new_session(tmp_path, "lab-1")
    assert made.raw.is_dir() and made.state.is_dir()
    return made


@pytest.fixture
def writer(session: Session) -> Iterator[LogWriter]:
    clock = session.clock()
    made = LogWriter(session.raw / "telemetry.jsonl", session.state / "telemetry.lock", clock=clock.now_ns)
    made.start({"sources": [{"source": "gpu.nvml"}, {"source": "cpu.psutil"}, {"source": "nic.psutil"}]})
    yield made
    made.stop()


def event(session: Session, source: str, ago_s: float = 0.0, **kv: object) -> Event:
    return Event(session.clock().now_ns() - int(ago_s * S), source, kv)


def shown(benchctl: Benchctl, *words: str) -> Any:
    done = benchctl("status", "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def only_stream(benchctl: Benchctl) -> Any:
    (stream,) = shown(benchctl)["session"]["streams"]
    return stream


def latency_rows(now_ns: int, count: int, **more: object) -> bytes:
    kv = {"pair": ["a", "b"], "match": "frame", "power_w": 100.0, "energy_j": 1.5, **more}
    times = range(now_ns - count * 10_000_000, now_ns, 10_000_000)
    rows = [
        {"ts_aligned_ns": ts, "source": "metric.latency", "kv": {"lat_ms": i % 100 + 1.0, **kv}}
        for i, ts in enumerate(times)
    ]
    return encode_lines(rows)


def checkpoint(session: Session, **fields: object) -> None:
    base = {"version": 1, "generation": 3, "outputs": {}, "streams": {}, "settings": {"pairs": [["a", "b"]]}}
    (session.state / "mux.json").write_bytes(msgspec.json.encode({**base, **fields}))


def test_no_session_yet_is_no_failure_and_says_how_to_make_one(benchctl: Benchctl, tmp_path: Path) -> None:
    assert shown(benchctl) == {"data_root": str(tmp_path), "session": None, "retention": None}
    assert "benchctl session new" in benchctl("status").stdout
    assert list(tmp_path.iterdir()) == []


def test_session_that_was_named_and_is_not_there_is_an_error(benchctl: Benchctl) -> None:
    done = benchctl("status", "--session", "nowhere")
    assert (done.returncode, done.stdout) == (5, "")
    assert "no session nowhere" in done.stderr


def test_current_link_to_a_session_that_was_deleted_is_no_session(benchctl: Benchctl, session: Session) -> None:
    session.dir.rename(session.dir.with_name("moved"))
    assert shown(benchctl)["session"] is None


def test_session_without_streams_says_what_to_start(benchctl: Benchctl, session: Session) -> None:
    assert shown(benchctl)["session"]["streams"] == []
    assert "start a collector" in benchctl("status").stdout


def test_a_living_writer_is_named_with_its_rate_and_age(
    benchctl: Benchctl, session: Session, writer: LogWriter
) -> None:
    writer.write([event(session, "cpu.psutil", 0.1 * n, cpu_util=1.0) for n in range(40, 0, -1)])
    stream = only_stream(benchctl)
    assert (stream["state"], stream["writer_pid"]) == ("recording", os.getpid())
    assert 0 < stream["last_age_s"] < 60
    assert 0 < stream["rate_hz"] <= 10.0
    assert f"recording (pid {os.getpid()})" in benchctl("status").stdout


@pytest.mark.parametrize(
    ("now_s", "rate_hz", "window_s"),
    [(100, 10.0, 5.0), (98, 10.0, 4.9), (93, None, None), (104, 2.0, 5.0), (200, 0.0, 5.0)],
    ids=["steady", "some from the future", "all from the future", "silent for a while", "silent for long"],
)
def test_rate_is_up_to_now_not_up_to_the_last_event(
    tmp_path: Path, now_s: int, rate_hz: float | None, window_s: float | None
) -> None:
    path = tmp_path / "telemetry.jsonl"
    path.write_bytes(encode_lines([Event(n * S // 10, "cpu.psutil", {}) for n in range(931, 1001)]))
    stream = stream_status(path, tmp_path / "none", lambda: now_s * S, None)
    assert (stream.rate_hz, stream.rate_window_s) == (rate_hz, window_s)


def test_stale_lock_file_is_no_writer(benchctl: Benchctl, session: Session) -> None:
    (session.raw / "telemetry.jsonl").write_bytes(encode_lines([event(session, "cpu.psutil", x=1)]))
    (session.state / "telemetry.lock").write_text('{"pid":1,"what":"telemetry.jsonl"}')
    stream = only_stream(benchctl)
    assert (stream["state"], stream["writer_pid"]) == ("dead", None)


def test_writer_that_ended_well_is_told_from_one_that_died(benchctl: Benchctl, writer: LogWriter) -> None:
    writer.stop()
    assert only_stream(benchctl)["state"] == "stopped"


def test_stream_of_a_program_that_takes_no_lock(benchctl: Benchctl, session: Session) -> None:
    (session.raw / "own.jsonl").write_bytes(b'{"ts_ns": 5, "source": "pipeline", "kv": {"stage": "a"}}\n')
    assert only_stream(benchctl)["state"] == "unlocked"


def test_asking_does_not_disturb_the_writer(benchctl: Benchctl, session: Session, writer: LogWriter) -> None:
    for _ in range(3):
        only_stream(benchctl)
    writer.write([event(session, "cpu.psutil", x=1)])
    assert writer.stats.lost == 0 and FileLock(writer.path.parent.parent / "state" / "telemetry.lock", "").holder


def test_sources_are_told_up_down_with_their_reason_and_quiet(
    benchctl: Benchctl, session: Session, writer: LogWriter
) -> None:
    down = {"which": "gpu.nvml", "reason": "no libnvidia-ml.so.1", "fix": "install the driver"}
    writer.write([meta(session.clock().now_ns(), "source_down", down), event(session, "cpu.psutil", x=1)])
    writer.write([event(session, "self.telemetryd", ticks=1)])
    told = {s["source"]: (s["state"], s["reason"], s["fix"]) for s in only_stream(benchctl)["sources"]}
    assert told == {
        "cpu.psutil": ("up", None, None),
        "gpu.nvml": ("down", "no libnvidia-ml.so.1", "install the driver"),
        "nic.psutil": ("quiet", None, None),
    }
    assert "gpu.nvml: no libnvidia-ml.so.1 (install the driver)" in benchctl("status").stdout


def test_source_that_came_back_is_up_and_one_that_left_again_is_down(
    benchctl: Benchctl, session: Session, writer: LogWriter
) -> None:
    now_ns = session.clock().now_ns()
    for n, told in enumerate(["source_down", "source_up", "source_down"]):
        writer.write([meta(now_ns + n, told, {"which": "cpu.psutil", "reason": f"reason {n}"})])
        state = {s["source"]: s["state"] for s in only_stream(benchctl)["sources"]}["cpu.psutil"]
        assert state == told.removeprefix("source_")


def test_one_device_of_a_source_that_left_does_not_hide_the_other(
    benchctl: Benchctl, session: Session, writer: LogWriter
) -> None:
    def told(what: str, dev: str) -> Event:
        line = meta(session.clock().now_ns(), what, {"which": "gpu.nvml", "reason": "it is lost"})
        line.dev = dev
        return line

    readings = [event(session, "gpu.nvml", power_w=1.0) for _ in range(2)]
    for reading, dev in zip(readings, ("GPU-a", "GPU-b"), strict=True):
        reading.dev = dev
    writer.start({"sources": [{"source": "gpu.nvml", "dev": "GPU-a"}, {"source": "gpu.nvml", "dev": "GPU-b"}]})
    writer.write([readings[0], told("source_down", "GPU-a"), readings[1]])
    found = {(source["source"], source["dev"]): source["state"] for source in only_stream(benchctl)["sources"]}
    assert found == {("gpu.nvml", "GPU-a"): "down", ("gpu.nvml", "GPU-b"): "up"}
    assert "down       gpu.nvml GPU-a: it is lost" in benchctl("status").stdout


def test_source_that_only_looks_for_devices_is_not_quiet_once_it_found_one(
    benchctl: Benchctl, session: Session, writer: LogWriter
) -> None:
    line = meta(session.clock().now_ns(), "source_up", {"which": "benchlab.usb"})
    line.dev = "0123"
    writer.start({"sources": [{"source": "benchlab.usb"}]})
    writer.write([line])
    found = [(source["source"], source["dev"], source["state"]) for source in only_stream(benchctl)["sources"]]
    assert found == [("benchlab.usb", "0123", "up")]


def test_device_that_was_called_by_its_port_is_not_shown_twice_once_it_said_who_it_is(
    benchctl: Benchctl, session: Session, writer: LogWriter
) -> None:
    rows: list[dict[str, Any]] = [{"source": "pmd.usb", "dev": "0123", "port": "/dev/ttyACM0"}]
    line = meta(session.clock().now_ns(), "source_up", {"which": "pmd.usb", "sources": rows})
    line.dev = "0123"
    writer.start({"sources": [{"source": "benchlab.usb", "dev": f"/dev/ttyACM{n}"} for n in range(2)]})
    writer.write([line])
    found = [(source["source"], source["dev"], source["state"]) for source in only_stream(benchctl)["sources"]]
    assert found == [("benchlab.usb", "/dev/ttyACM1", "quiet"), ("pmd.usb", "0123", "up")]


def test_sources_of_a_writer_before_the_last_start_are_forgotten(benchctl: Benchctl, session: Session) -> None:
    now_ns = session.clock().now_ns()
    start = meta(now_ns, "start", {"sources": [{"source": "cpu.psutil"}]})
    rows = [event(session, "gpu.nvml", 2, x=1), start, event(session, "cpu.psutil", x=1)]
    (session.raw / "telemetry.jsonl").write_bytes(encode_lines(rows))
    assert [s["source"] for s in only_stream(benchctl)["sources"]] == ["cpu.psutil"]


def test_simulated_data_says_so(benchctl: Benchctl, session: Session, writer: LogWriter) -> None:
    writer.write(
        [Event(session.clock().now_ns(), "gpu.nvml", {"power_w": 1.0}, sim=True), event(session, "cpu.psutil")]
    )
    found = shown(benchctl)["session"]
    assert found["simulated"] and found["streams"][0]["simulated"]
    assert [s["source"] for s in found["streams"][0]["sources"] if s["simulated"]] == ["gpu.nvml"]
    assert "simulated  gpu.nvml\n" in benchctl("status").stdout


def test_bytes_that_muxd_has_not_read_are_counted(benchctl: Benchctl, session: Session) -> None:
    path = session.raw / "telemetry.jsonl"
    path.write_bytes(encode_lines([event(session, "cpu.psutil", x=n) for n in range(9)]))
    assert only_stream(benchctl)["unread_bytes"] is None
    checkpoint(session, streams={"telemetry.jsonl": {"offset": 100}})
    assert only_stream(benchctl)["unread_bytes"] == path.stat().st_size - 100


def test_muxd_its_checkpoint_and_what_it_vouches_for(benchctl: Benchctl, session: Session) -> None:
    (session.aligned / "latency.jsonl").write_bytes(b"x" * 70)
    checkpoint(session, outputs={"latency.jsonl": 50})
    with FileLock(session.state / "mux.lock", "muxd"):
        muxd = shown(benchctl)["session"]["muxd"]
    assert (muxd["pid"], muxd["generation"], muxd["pairs"]) == (os.getpid(), 3, [["a", "b"]])
    assert muxd["outputs"] == [{"file": "latency.jsonl", "bytes": 70, "vouched_bytes": 50}]
    assert 0 <= muxd["checkpoint_age_s"] < 60
    assert shown(benchctl)["session"]["muxd"]["pid"] is None


def test_checkpoint_that_cannot_be_read_is_told_and_the_rest_still_shown(
    benchctl: Benchctl, session: Session, writer: LogWriter
) -> None:
    (session.state / "mux.json").write_bytes(b'{"generation":')
    found = shown(benchctl)["session"]
    assert "mux.json cannot be read" in found["muxd"]["problem"]
    assert found["streams"][0]["state"] == "recording"
    assert "cannot be read" in benchctl("status").stdout


def test_figures_are_of_the_last_minute_and_no_older(benchctl: Benchctl, session: Session) -> None:
    now_ns = session.clock().now_ns()
    old = latency_rows(now_ns - 3600 * S, 100, power_w=9_999.0)
    drop = {"ts_aligned_ns": now_ns, "source": "metric.dropped", "kv": {"pair": ["a", "b"], "reason": "lost"}}
    (session.aligned / "latency.jsonl").write_bytes(old + latency_rows(now_ns, 1000) + encode_lines([drop]))
    recent = shown(benchctl)["session"]["recent"]
    (pair,) = recent["summary"]["pairs"]
    assert (pair["pairs"], pair["power_w"], pair["frame_energy_j"]) == (1000, 100.0, 1.5)
    assert (pair["p50_ms"], pair["drops"]) == (50.5, {"lost": 1})
    assert 9 < recent["covered_s"] < 60


def test_open_session_whose_pairs_are_old_has_no_figures(benchctl: Benchctl, session: Session) -> None:
    (session.aligned / "latency.jsonl").write_bytes(latency_rows(session.clock().now_ns() - 120 * S, 10))
    assert shown(benchctl)["session"]["recent"] is None
    assert "none in the last minute" in benchctl("status").stdout


def test_session_that_was_closed_shows_its_last_minute(benchctl: Benchctl, session: Session) -> None:
    now_ns = session.clock().now_ns()
    (session.aligned / "latency.jsonl").write_bytes(latency_rows(now_ns - 120 * S, 10))
    session.close(now_ns)
    found = shown(benchctl)["session"]
    assert (found["state"], found["recent"]["summary"]["pairs"][0]["pairs"]) == ("closed", 10)


def test_session_closed_and_trimmed_meanwhile_is_what_is_left_of_it(session: Session, writer: LogWriter) -> None:
    session.close(session.clock().now_ns())  # behind the back of the object that status holds
    writer.stop()
    for path in session.raw.iterdir():
        path.unlink()
    session.raw.rmdir()
    assert session_status(session).streams == []


def test_files_that_go_while_they_are_read_are_no_error(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    (session.raw / "telemetry.jsonl").symlink_to(session.raw / "gone")
    (stream,) = session_status(session).streams
    assert (stream.bytes, stream.last_ns, stream.rate_hz, stream.sources) == (0, None, None, [])


def test_bare_folder_of_raw_files_is_shown(benchctl: Benchctl, tmp_path: Path) -> None:
    raw = tmp_path / "sessions" / "old" / "raw"
    raw.mkdir(parents=True)
    (raw / "pipeline.jsonl").write_bytes(b'{"ts_ns":5,"source":"pipeline","kv":{"stage":"a"}}\ntorn')
    found = shown(benchctl, "--session", "old")["session"]
    assert (found["state"], found["streams"][0]["last_ns"]) == ("bare", 5)
    assert sorted(path.name for path in raw.parent.iterdir()) == ["raw"]


def test_huge_raw_file_is_read_at_its_ends_only(benchctl: Benchctl, session: Session) -> None:
    """A sparse file of 64 GiB: whoever reads it as a whole is not done in a day, nor has the memory."""
    path = session.raw / "telemetry.jsonl"
    now_ns = session.clock().now_ns()
    down = meta(now_ns - S, "source_down", {"which": "gpu.nvml", "reason": "not there"})
    start = meta(now_ns - S, "start", {"sources": [{"source": "gpu.nvml"}, {"source": "cpu.psutil"}]})
    with path.open("wb") as file:
        file.write(encode_lines([start, down]))
        file.seek(64 << 30)
        file.write(b"\n" + encode_lines([event(session, "cpu.psutil", x=n) for n in range(50)]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stream = only_stream(benchctl)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 96 * 1024  # KiB
    assert stream["bytes"] > 64 << 30
    assert {s["source"]: s["state"] for s in stream["sources"]} == {"cpu.psutil": "up", "gpu.nvml": "down"}


def test_line_longer_than_the_first_look_does_not_hide_the_end(benchctl: Benchctl, session: Session) -> None:
    rows = [event(session, "cpu.psutil", x=1), event(session, "vm.libvirt", text="x" * (MIB - 4096))]
    (session.raw / "telemetry.jsonl").write_bytes(encode_lines(rows))
    assert [s["source"] for s in only_stream(benchctl)["sources"]] == ["cpu.psutil", "vm.libvirt"]


def test_garbage_at_the_end_hides_nothing(benchctl: Benchctl, session: Session) -> None:
    good = encode_lines([event(session, "cpu.psutil", x=1)])
    (session.raw / "telemetry.jsonl").write_bytes(good + b'{"ts_ns":1,"source":"meta"\n\xff\xfe\n"meta"\n{"ts')
    stream = only_stream(benchctl)
    assert [s["source"] for s in stream["sources"]] == ["cpu.psutil"]


def test_reading_whose_text_speaks_of_meta_is_no_meta_line(benchctl: Benchctl, session: Session) -> None:
    rows = [event(session, "bookmark", text=META, event="source_down", which="gpu.nvml")]
    (session.raw / "bookmarks.jsonl").write_bytes(encode_lines(rows))
    assert [s["source"] for s in only_stream(benchctl)["sources"]] == ["bookmark"]


def test_sinks_are_as_far_behind_as_their_cursors_say(benchctl: Benchctl, session: Session) -> None:
    checkpoint(session, outputs={"latency.jsonl": 500}, streams={"bookmarks.jsonl": {"offset": 90}})
    (session.state / "sinks").mkdir()
    cursors = {
        "aligned/latency.jsonl": {"generation": 3, "offset": 400, "hash": "x"},
        "raw/bookmarks.jsonl": {"generation": 2, "offset": 90, "hash": "x"},
    }
    (session.state / "sinks" / "influx.json").write_bytes(msgspec.json.encode(cursors))
    (session.state / "sinks" / "parquet.json").write_text("torn")
    with sqlite3.connect(session.store / "telemetry.db") as store:
        store.execute("CREATE TABLE cursor (session TEXT, stream TEXT, generation INTEGER, offset INTEGER)")
        store.execute("INSERT INTO cursor VALUES ('lab-1', 'aligned/latency.jsonl', 3, 500), ('else', 'x', 3, 0)")
    store.close()
    influx, parquet, sqlite = shown(benchctl)["session"]["sinks"]
    assert influx["behind_bytes"] == {"aligned/latency.jsonl": 100, "raw/bookmarks.jsonl": None}
    assert parquet["behind_bytes"] == {} and "cannot be read" in parquet["problem"]
    assert (sqlite["sink"], sqlite["behind_bytes"]) == ("sqlite", {"aligned/latency.jsonl": 0})
    text = benchctl("status").stdout
    assert "influx: aligned/latency.jsonl 100 bytes behind, raw/bookmarks.jsonl begins anew" in text
    assert "sqlite: up to date" in text


def test_sink_that_is_wanted_and_has_stored_nothing_is_not_said_to_have_all(
    benchctl: Benchctl, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(session, outputs={"latency.jsonl": 500})
    monkeypatch.setenv("BENCHLAB_SINKS_INFLUX", "true")
    assert shown(benchctl)["session"]["sinks"] == [{"sink": "influx", "behind_bytes": {}, "problem": None}]
    assert "influx: nothing stored yet" in benchctl("status").stdout


def test_store_that_nobody_writes_is_left_as_it_is(benchctl: Benchctl, session: Session) -> None:
    store = sqlite3.connect(session.store / "telemetry.db")
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("CREATE TABLE cursor (session TEXT, stream TEXT, generation INTEGER, offset INTEGER)")
    store.close()
    assert shown(benchctl)["session"]["sinks"] == [{"sink": "sqlite", "behind_bytes": {}, "problem": None}]
    assert [path.name for path in session.store.iterdir()] == ["telemetry.db"]


def test_store_that_is_no_database_is_a_problem_of_that_sink_only(benchctl: Benchctl, session: Session) -> None:
    (session.store / "telemetry.db").write_bytes(b"no database" * 100)
    (sink,) = shown(benchctl)["session"]["sinks"]
    assert "cannot be read" in sink["problem"]


def test_statistics_of_vmstatd_are_those_that_it_told_last(benchctl: Benchctl, session: Session) -> None:
    assert shown(benchctl)["session"]["vmstatd"] is None
    told = {"started_at_ns": 5, "total_collections": 9, "total_errors": 1, "vms_monitored": 3}
    older = event(session, "self.vm", ago_s=9, **{**told, "total_collections": 8})
    polled_ns = session.clock().now_ns() - 4 * S
    newest = event(session, "self.vm", ago_s=4, **told, last_collection_time_ns=polled_ns, total_metrics_written=18)
    (session.raw / "vmstat.jsonl").write_bytes(encode_lines([older, newest, event(session, "vm.libvirt", vmid=1)]))
    found = shown(benchctl)["session"]["vmstatd"]
    assert found.pop("last_collection_age_s") >= 4
    assert found == {**told, "last_collection_time_ns": polled_ns, "total_metrics_written": 18}
    assert "vms        3 monitored, 9 polls, 1 errors, the last 4" in benchctl("status").stdout


def test_retention_takes_the_oldest_next_but_never_the_current_or_a_pinned_one(
    benchctl: Benchctl, tmp_path: Path
) -> None:
    for name in ("2025-01-01T00-00-00Z", "2025-01-02T00-00-00Z"):
        (tmp_path / "sessions" / name / "raw").mkdir(parents=True)
    new_session(tmp_path, "pinned").update(created="2024-01-01T00:00:00Z", pinned=True)
    new_session(tmp_path, "now").update(created="2024-01-01T00:00:00Z")
    due = shown(benchctl)["retention"]
    assert (due["session"], due["part"]) == ("2025-01-01T00-00-00Z", "all")
    assert due["in_days"] < 0
    assert "2025-01-01T00-00-00Z is due now" in benchctl("status").stdout


def test_raw_files_go_before_the_session(benchctl: Benchctl, tmp_path: Path) -> None:
    old = new_session(tmp_path, "old")
    (old.raw / "pipeline.jsonl").write_text("")
    new_session(tmp_path, "now")
    due = shown(benchctl)["retention"]
    assert (due["session"], due["part"], round(due["in_days"])) == ("old", "raw", 7)
