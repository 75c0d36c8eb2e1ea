"""muxd as a program with an InfluxDB: killed again and again, with none there, with one that hangs, and without."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from benchlab.cli import free_port
from benchlab.session import Session, new_session
from support import fake_influx
from support.fake_influx import FakeInflux
from support.influx_sinks import assert_points_are_the_log, guests
from support.mux_sessions import append, meta, power, record, stage, usual_run
from support.processes import Run, Start, ended, until
from support.real_influx import InfluxDb, influxdb
from support.sink_sessions import lines_with_offsets
from support.tree import program_env

KILLS = 20
FRAMES = 80_000


def muxd(start: Start, session: Session, url: str, **more: str) -> subprocess.Popen[bytes]:
    root = session.dir.parent.parent
    where = ("--data-root", str(root), "--session", session.name, "--prom-bind", f"127.0.0.1:{free_port()}")
    told = {"BENCHLAB_INFLUX_INFLUX_URL": url, "BENCHLAB_INFLUX_API": "v1", "INFLUX_TOKEN": "", **more}
    return start("muxd", *where, "--pair", "ingress", "encoded", "--sink", "influx", **told)


def recorded(tmp_path: Path, run: Run, frames: int) -> Session:
    """Return a closed session that is muxed to its end: two frames at each nanosecond, guests, power."""
    session = new_session(tmp_path, "drained", node="bench")
    stages = [meta(-1, "start", disorder_ms=20)]
    for frame in range(frames):
        at = frame // 2 * 4.0
        stages += [stage(at, "ingress", frame), stage(at + 3, "encoded", frame)]
    watts = [power(ms, 100.0 + ms % 7) for ms in range(-50, frames * 2 + 100, 50)]
    append(session, "pipeline", stages)
    append(session, "benchlab", [meta(-50, "start", disorder_ms=20), *watts])
    append(session, "vmstat", guests(200))
    session.close(session.clock().now_ns())
    done = run(
        "muxd", "--data-root", str(tmp_path), "--session", session.name, "--pair", "ingress", "encoded", "--once"
    )
    assert done.returncode == 0, done.stderr
    return session


def offset_of(session: Session) -> int:
    """Return how much of latency.jsonl is stored, as the sink's own file says."""
    try:
        cursors = msgspec.json.decode((session.state / "sinks" / "influx.json").read_bytes())
        return int(cursors["aligned/latency.jsonl"]["offset"])
    except (OSError, KeyError):
        return 0


@pytest.mark.xdist_group("long")
def test_twenty_kills_during_a_drain_leave_counts_and_sums_those_of_the_log(
    component: Callable[[str, str], str], start: Start, run: Run, tmp_path: Path
) -> None:
    session, random = recorded(tmp_path, run, FRAMES), Random(7)
    size = (session.aligned / "latency.jsonl").stat().st_size
    with influxdb(component("influxd", "influxdb"), tmp_path) as server:
        for life in range(KILLS):
            before, points = offset_of(session), points_in(server)
            process = muxd(start, session, server.url, BENCHLAB_INFLUX_BATCH_MAX_LINES="20")
            if life % 4 == 3:  # however slow the machine is, some lives save how far they came
                until(lambda before=before: offset_of(session) > before, 120)  # type: ignore[misc]
            elif life % 4 == 1:  # and others are in the midst of it
                until(lambda points=points: points_in(server) != points, 120)  # type: ignore[misc]
            time.sleep(random.uniform(0, 0.3))
            assert offset_of(session) < size, f"the drain was over after {life} kills"
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert offset_of(session) > 0
        assert ended(muxd(start, session, server.url))[0] == 0
        assert_counts_and_sums(session, server)


def points_in(server: InfluxDb) -> int:
    try:
        return sum(int(row["count"]) for row in server.rows("SELECT COUNT(lat_ms) FROM metric_latency"))
    except AssertionError:  # there is no such database yet
        return 0


def assert_counts_and_sums(session: Session, server: InfluxDb) -> None:
    pairs = [row["kv"] for _, row in lines_with_offsets(session.aligned / "latency.jsonl")]
    assert len(pairs) == FRAMES
    found = one(
        server,
        "SELECT COUNT(lat_ms) AS n, SUM(lat_ms) AS lat, SUM(frame) AS frames, SUM(power_w) AS w",
        "metric_latency",
    )
    assert (found["n"], found["frames"]) == (FRAMES, sum(kv["frame"] for kv in pairs))
    assert found["lat"] == pytest.approx(sum(kv["lat_ms"] for kv in pairs), rel=1e-12)
    assert found["w"] == pytest.approx(sum(kv["power_w"] for kv in pairs), rel=1e-12)
    readings = [row["kv"] for _, row in lines_with_offsets(session.raw / "vmstat.jsonl") if row["source"] != "meta"]
    found = one(server, "SELECT COUNT(cpu_count) AS n, SUM(cputime_ns) AS busy", "vm_metrics")
    assert found["n"] == len(readings) == 400
    assert found["busy"] == sum(kv.get("cputime_ns", 0) for kv in readings)
    signals = [
        row for _, row in lines_with_offsets(session.aligned / "signals.jsonl") if row["source"] == "benchlab.usb"
    ]
    found = one(server, "SELECT COUNT(p_sys) AS n, SUM(p_sys) AS w", "benchlab_usb")
    assert (found["n"], found["w"]) == (len(signals), pytest.approx(sum(row["kv"]["p_sys"] for row in signals)))


def one(server: InfluxDb, select: str, measurement: str) -> dict[str, Any]:
    (row,) = server.rows(f"{select} FROM {measurement}")
    return row


def test_without_any_influxdb_muxd_works_and_says_so_once(start: Start, tmp_path: Path) -> None:
    session = new_session(tmp_path, "s", node="bench")
    record(session, usual_run(frames=100))
    process = muxd(start, session, f"http://127.0.0.1:{free_port()}")
    until(lambda: (session.aligned / "latency.jsonl").exists())
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    code, _, said = ended(process)
    assert code == 0
    assert said.count("nothing is lost, it is tried again") == 1
    assert said.count("no answer from http://127.0.0.1:") == 1


def test_a_server_that_hangs_does_not_hold_up_the_end(start: Start, tmp_path: Path) -> None:
    session = new_session(tmp_path, "s", node="bench")
    record(session, usual_run(frames=100))
    with FakeInflux("vmstats").running() as server:
        server.faults.append(fake_influx.is_slow(300.0))
        process = muxd(start, session, server.url)
        until(lambda: server.batches)
        process.send_signal(signal.SIGTERM)
        code, _, said = ended(process)
    assert code == 0
    assert "sink influx has not stored everything: the next muxd on this session goes on" in said


def test_after_muxds_end_everything_is_in_the_server(start: Start, tmp_path: Path) -> None:
    session = new_session(tmp_path, "s", node="bench")
    record(session, usual_run(frames=100))
    append(session, "vmstat", guests())
    session.close(session.clock().now_ns())
    with FakeInflux().running() as server:
        code, _, said = ended(muxd(start, session, server.url, BENCHLAB_INFLUX_API="v3"))
        assert code == 0
        assert "HTTP" not in said
        assert_points_are_the_log(session, server.points())
    assert {("node", "bench"), ("session", session.info.id)} <= {
        tag for name, tags, _ in server.points() if name == "metric_latency" for tag in tags
    }


@pytest.mark.parametrize("flags", [[], ["--sink", "sqlite"]])
def test_muxd_without_this_sink_does_not_load_its_client(tmp_path: Path, flags: list[str]) -> None:
    session = new_session(tmp_path, "s", node="bench")
    record(session, usual_run(frames=10))
    code = (
        "import sys; from muxd.main import main; "
        f"main(['--data-root', {str(tmp_path)!r}, '--session', 's', '--once', *{flags!r}]); "
        "unwanted = ('httpx', 'httpcore', 'h11', 'anyio', 'muxd.sinks.influx'); "
        "print([name for name in sys.modules if name.startswith(unwanted)])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=program_env(), capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_without_the_client_the_sink_names_what_installs_it(tmp_path: Path) -> None:
    session = new_session(tmp_path, "s", node="bench")
    record(session, usual_run(frames=10))
    code = (
        "import sys; sys.modules['httpx2'] = None; from muxd.main import main; "
        f"sys.exit(main(['--data-root', {str(tmp_path)!r}, '--session', 's', '--once', '--sink', 'influx']))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=program_env(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stderr.count("sink influx cannot be used") == 1
    assert "pip install 'benchlab-linux-telemetry[influx]'" in done.stderr
