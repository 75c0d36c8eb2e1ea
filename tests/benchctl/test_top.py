"""top on a session that grows, is replaced, ends; in a terminal, which it gives back however it ends; in a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchctl.top import Machine, parser
from benchctl.top_session import SessionFollower, Snapshot
from benchctl.top_stream import SourceRow, StreamFollower
from benchlab import cli
from benchlab.config import Config
from benchlab.event import META, Event, encode_lines
from benchlab.files import FileLock
from benchlab.log.writer import LogWriter
from benchlab.session import Session, new_session

Benchctl = Callable[..., "subprocess.CompletedProcess[str]"]
S = 1_000_000_000
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
PATIENCE_S = 60.0


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return new_session(tmp_path, "lab-1")


@pytest.fixture
def writer(session: Session) -> Iterator[LogWriter]:
    made = LogWriter(session.raw / "telemetry.jsonl", session.state / "telemetry.lock", clock=session.clock().now_ns)
    made.start({"sources": [{"source": "gpu.nvml"}, {"source": "cpu.rapl"}]})
    yield made
    made.stop()


def event(session: Session, source: str, ago_s: float = 0.0, dev: str | None = None, **kv: object) -> Event:
    return Event(session.clock().now_ns() - int(ago_s * S), source, kv, dev=dev)


def rows_of(found: Snapshot) -> dict[str, SourceRow]:
    return {row.source: row for row in found.sources}


def vouched(session: Session, count: int, generation: int = 1, **more: object) -> None:
    """Have muxd vouch for a number of pairs."""
    now_ns = session.clock().now_ns()
    kv = {"pair": ["a", "b"], "match": "frame", "power_w": 100.0, "energy_j": 1.5, **more}
    rows = [
        {"ts_aligned_ns": now_ns - i * 10_000_000, "source": "metric.latency", "kv": {"lat_ms": 5.0, **kv}}
        for i in range(count, 0, -1)
    ]
    path = session.dir / "aligned" / "latency.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode_lines(rows))
    state = {"version": 1, "generation": generation, "outputs": {path.name: path.stat().st_size}}
    (session.state / "mux.json").write_bytes(msgspec.json.encode(state))


def test_readings_and_their_watts_are_followed(session: Session, writer: LogWriter, tmp_path: Path) -> None:
    follower = SessionFollower(session, Config())
    writer.write([event(session, "gpu.nvml", 0.1 * n, power_w=200.0) for n in range(40, 0, -1)])
    first = rows_of(follower.snapshot(tmp_path))
    assert (first["gpu.nvml"].state, first["gpu.nvml"].power_w) == ("up", 200.0)
    assert first["cpu.rapl"].state == "quiet" and first["cpu.rapl"].power_w is None
    writer.write([event(session, "gpu.nvml", power_w=250.0)])
    assert rows_of(follower.snapshot(tmp_path))["gpu.nvml"].power_w == 250.0


def test_source_that_goes_away_tells_why_and_loses_its_watts(
    session: Session, writer: LogWriter, tmp_path: Path
) -> None:
    follower = SessionFollower(session, Config())
    writer.write([event(session, "gpu.nvml", 1, power_w=200.0)])
    follower.snapshot(tmp_path)
    down: dict[str, Any] = {"event": "source_down", "which": "gpu.nvml", "reason": "lost", "fix": "nvidia-smi"}
    writer.write([event(session, META, **down)])
    row = rows_of(follower.snapshot(tmp_path))["gpu.nvml"]
    assert (row.state, row.reason, row.fix, row.power_w, row.rate_hz) == ("down", "lost", "nvidia-smi", None, None)


def read_bytes_of_this_process() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].partition(":")[2])


def test_long_file_is_not_read_again_each_second(session: Session, writer: LogWriter, tmp_path: Path) -> None:
    writer.write([event(session, "gpu.nvml", 1, power_w=1.0, pad="x" * 5000) for _ in range(2000)])
    follower = SessionFollower(session, Config())
    follower.snapshot(tmp_path)
    writer.write([event(session, "gpu.nvml", power_w=2.0)])
    before = read_bytes_of_this_process()
    assert rows_of(follower.snapshot(tmp_path))["gpu.nvml"].power_w == 2.0
    assert read_bytes_of_this_process() - before < 200_000


def test_what_came_in_a_flood_is_skipped_to_its_end(
    session: Session, writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchctl.top_stream.MOST_BEHIND_BYTES", 100_000)
    follower = SessionFollower(session, Config())
    follower.snapshot(tmp_path)
    writer.write([event(session, "gpu.nvml", 1, power_w=float(i), pad="x" * 1000) for i in range(2000)])
    before = read_bytes_of_this_process()
    assert rows_of(follower.snapshot(tmp_path))["gpu.nvml"].power_w == 1999.0
    assert read_bytes_of_this_process() - before < 3_500_000  # its story is searched, its readings are not decoded


def test_file_that_was_replaced_is_followed_from_its_own_end(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    path.write_bytes(encode_lines([Event(S * i, "gpu.nvml", {"power_w": 1.0}) for i in range(1, 50)]))
    follower = StreamFollower(path, tmp_path / "none", lambda source: "power_w")
    follower.poll()
    path.write_bytes(encode_lines([Event(S * 60, "cpu.rapl", {"package_w": 1.0})]))
    follower.poll()
    assert [row.source for row in follower.rows(S * 61)] == ["cpu.rapl"]
    follower.close()


def test_bad_lines_are_passed_over(session: Session, writer: LogWriter, tmp_path: Path) -> None:
    follower = SessionFollower(session, Config())
    follower.snapshot(tmp_path)
    with (session.raw / "telemetry.jsonl").open("ab") as file:
        file.write(b"{nonsense\n\xff\xfe\n" + encode_lines([event(session, "gpu.nvml", power_w=3.0)]))
    assert rows_of(follower.snapshot(tmp_path))["gpu.nvml"].power_w == 3.0


@pytest.mark.parametrize(
    ("times_s", "now_s", "rate_hz"),
    [
        ([n / 10 for n in range(900, 1001)], 100, 10.0),
        ([50.0], 100, 0.0),
        ([95.0, 97.5, 100.0], 100, 0.4),
        ([99.9], 100, None),
    ],
    ids=["steady", "silent", "began in the window", "its first second"],
)
def test_rate_is_up_to_now(tmp_path: Path, times_s: list[float], now_s: int, rate_hz: float | None) -> None:
    path = tmp_path / "telemetry.jsonl"
    path.write_bytes(encode_lines([Event(int(t * S), "gpu.nvml", {}) for t in times_s]))
    with FileLock(tmp_path / "telemetry.lock", "test"):
        follower = StreamFollower(path, tmp_path / "telemetry.lock", lambda source: None)
        follower.poll()
        (row,) = follower.rows(now_s * S)
        assert (row.state, row.rate_hz) == ("up", rate_hz)
        follower.close()


def test_figures_are_of_what_muxd_vouches_for(session: Session, tmp_path: Path) -> None:
    vouched(session, 50)
    follower = SessionFollower(session, Config())
    (pair,) = follower.snapshot(tmp_path).pairs
    assert (pair.pairs, pair.p50_ms, pair.frame_energy_j) == (50, 5.0, 1.5)
    vouched(session, 10, generation=2)  # made anew: what was read before is not counted twice
    (pair,) = follower.snapshot(tmp_path).pairs
    assert pair.pairs <= 50


def test_very_many_frames_are_bounded_and_say_how_far_back_they_go(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchctl.top_session.MOST_ROWS", 20)
    vouched(session, 50)
    found = SessionFollower(session, Config()).snapshot(tmp_path)
    assert found.pairs[0].pairs == 20
    assert found.covered_s is not None and 0.2 <= found.covered_s < 60


def test_machine_that_nobody_records_any_more_does_not_run(session: Session, tmp_path: Path) -> None:
    kv = {"name": "db-1", "state": "running", "cpu_pct": 12.5, "memory_used_kb": 1024, "vmid": 1}
    (session.raw / "vmstat.jsonl").write_bytes(encode_lines([event(session, "vm.libvirt", 1, "6a", **kv)]))
    with FileLock(session.state / "vmstat.lock", "test"):
        follower = SessionFollower(session, Config())
        (vm,) = follower.snapshot(tmp_path).vms
        assert (vm.name, vm.state, vm.cpu_pct, vm.memory_bytes) == ("db-1", "running", 12.5, 1 << 20)
        assert vm.energy_j is None
    (vm,) = follower.snapshot(tmp_path).vms
    assert vm.state == "dead"


def test_energy_of_a_machine_is_that_of_its_own_rows(session: Session, tmp_path: Path) -> None:
    kv = {"name": "db-1", "state": "running", "vmid": 1}
    (session.raw / "vmstat.jsonl").write_bytes(encode_lines([event(session, "vm.libvirt", 1, "6a", **kv)]))
    now_ns = session.clock().now_ns()
    rows = [
        {
            "ts_aligned_ns": now_ns - ago * S,
            "source": "metric.vm_energy",
            "dev": dev,
            "kv": {"energy_j": j, "power_w": j / 5},
        }
        for ago, dev, j in ((600, "6a", 1000.0), (20, "6a", 10.0), (10, "7b", 500.0), (5, "6a", 20.0))
    ]
    path = session.dir / "aligned" / "signals.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode_lines(rows))
    state = {"version": 1, "generation": 1, "outputs": {path.name: path.stat().st_size}}
    (session.state / "mux.json").write_bytes(msgspec.json.encode(state))
    (vm,) = SessionFollower(session, Config()).snapshot(tmp_path).vms
    assert (vm.energy_j, vm.power_w) == (30.0, 4.0)


def test_current_session_is_followed_to_the_next_one(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHLAB_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BENCHLAB_SESSION", raising=False)
    machine = Machine(cli.context(parser().parse_args([])))
    assert machine.snapshot().session == "lab-1"
    new_session(tmp_path, "lab-2")
    assert machine.snapshot().session == "lab-2"


def test_once_prints_one_plain_screen(benchctl: Benchctl, session: Session, writer: LogWriter) -> None:
    writer.write([event(session, "gpu.nvml", 1, power_w=200.0)])
    done = benchctl("top", "--once")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "gpu.nvml" in done.stdout and "lab-1" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_once_as_json_is_one_document(benchctl: Benchctl, session: Session) -> None:
    found = json.loads(benchctl("top", "--once", "--json").stdout)
    assert found["session"] == "lab-1"
    assert set(found) == set(Snapshot.__struct_fields__)


def test_no_session_yet_is_no_failure(benchctl: Benchctl) -> None:
    assert json.loads(benchctl("top", "--once", "--json").stdout)["session"] is None
    assert "benchctl demo" in benchctl("top", "--once").stdout


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BENCHLAB")}
    return {**kept, "BENCHLAB_DATA_ROOT": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), **more}


ARGV = [sys.executable, "-m", "benchctl", "top"]


@pytest.mark.parametrize("as_json", [True, False])
def test_pipe_gets_a_screen_a_second_until_it_is_stopped(tmp_path: Path, session: Session, as_json: bool) -> None:
    argv = [*ARGV, "--json"] if as_json else ARGV
    with subprocess.Popen(argv, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen: list[str] = []
        while sum("lab-1" in line for line in seen) < 2:
            seen.append(process.stdout.readline())
            assert seen[-1], "ended"
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "\x1b" not in "".join(seen) + rest
    if as_json:
        assert [json.loads(line)["session"] for line in seen] == ["lab-1", "lab-1"]


def test_encoding_without_our_letters_is_no_reason_to_end(tmp_path: Path, session: Session) -> None:
    vouched(session, 5)
    env = environment(tmp_path, PYTHONIOENCODING="ascii")
    done = subprocess.run([*ARGV, "--once"], env=env, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"a?b" in done.stdout


class Screen:
    """A program in a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        self.process, self.master, self.slave = process, master, slave
        self.output = b""

    def read(self) -> None:
        if select.select([self.master], [], [], 0.1)[0]:
            self.output += os.read(self.master, 65536)

    def wait_for(self, words: bytes, since: int = 0) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.output[since:]:
            assert time.monotonic() < deadline, self.output[-2000:]
            self.read()

    def press(self, keys: bytes, words: bytes) -> None:
        since = len(self.output)
        os.write(self.master, keys)
        self.wait_for(words, since)

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None or select.select([self.master], [], [], 0)[0]:
            assert time.monotonic() < deadline, self.output[-2000:]
            self.read()
        return self.process.returncode


@contextmanager
def screen(tmp_path: Path, columns: int = 80, rows: int = 24, **more: str) -> Iterator[Screen]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = environment(tmp_path, TERM="xterm-256color", **more)
    process = subprocess.Popen(ARGV, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    try:
        yield Screen(process, master, slave)
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def assert_given_back(shown: Screen, before: list[Any]) -> None:
    assert shown.output.count(ENTER) == shown.output.count(LEAVE) == 1
    assert shown.output.rindex(LEAVE) > shown.output.rindex(b"\x1b[H")
    assert b"\x1b[?25h" in shown.output[shown.output.rindex(b"\x1b[H") :]
    assert termios.tcgetattr(shown.slave) == before


def test_keys_in_a_terminal(tmp_path: Path, session: Session) -> None:
    with screen(tmp_path) as shown:
        before = termios.tcgetattr(shown.slave)
        shown.wait_for(b"lab-1")
        assert termios.tcgetattr(shown.slave) != before
        shown.press(b"p", b"PAUSED")
        shown.press(b"s", b"by rate")
        shown.press(b"?", b"this list, and back")
        shown.press(b"?", b"muxd")
        shown.press(b"/gp", b"/gp_")
        os.write(shown.master, b"\x1b")
        shown.press(b"q", LEAVE)
        assert shown.end() == 0
        assert_given_back(shown, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_terminal_is_given_back_after_a_signal(tmp_path: Path, session: Session, number: int) -> None:
    with screen(tmp_path) as shown:
        before = termios.tcgetattr(shown.slave)
        shown.wait_for(b"lab-1")
        shown.process.send_signal(number)
        assert shown.end() == 0
        assert_given_back(shown, before)


def test_terminal_is_given_back_when_the_session_cannot_be_read(tmp_path: Path, session: Session) -> None:
    with screen(tmp_path, BENCHLAB_SESSION="lab-1") as shown:
        before = termios.tcgetattr(shown.slave)
        shown.wait_for(b"lab-1")
        session.dir.rename(session.dir.with_name("gone"))
        assert shown.end() == 5
        assert_given_back(shown, before)
        assert b"no session lab-1" in shown.output[shown.output.rindex(LEAVE) :]


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 10), (30, 3)])
def test_screen_is_never_longer_than_the_terminal(
    tmp_path: Path, session: Session, writer: LogWriter, columns: int, rows: int
) -> None:
    writer.write([event(session, f"edge.device{n}", 1, power_total_watts=1.0) for n in range(40)])
    with screen(tmp_path, columns, rows) as shown:
        shown.wait_for(b"\x1b[J")
        shown.press(b"\x1b[F", b"\x1b[J")
        painted = shown.output.split(b"\x1b[H")[1].partition(b"\x1b[J")[0]
        assert painted.count(b"\r\n") == rows - 1
        shown.process.send_signal(signal.SIGTERM)
        assert shown.end() == 0


def test_dumb_terminal_gets_plain_text(tmp_path: Path, session: Session) -> None:
    master, slave = pty.openpty()
    env = environment(tmp_path, TERM="dumb")
    process = subprocess.Popen(ARGV, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    shown = Screen(process, master, slave)
    try:
        shown.wait_for(b"lab-1")
        process.send_signal(signal.SIGTERM)
        assert shown.end() == 0
        assert b"\x1b" not in shown.output
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
