from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

PROGRAM = """
import sys, threading, time
from pathlib import Path
from benchlab.daemon import Daemon, Reading
from benchlab.log.writer import LogWriter

class Fine:
    name = "test.fine"
    def sample(self): return [Reading({"n": 1})]

class Stuck:
    name = "test.stuck"
    def sample(self): threading.Event().wait()

class Clock:
    now_ns = staticmethod(time.time_ns)
    def step_ns(self): return None

path = Path(sys.argv[1])
writer = LogWriter(path, path.with_suffix(".lock"), clock=time.time_ns)
raise SystemExit(Daemon("testd", [Fine(), Stuck()], writer, Clock(), 0.05, env={}).run())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_daemon_within_two_seconds_even_with_a_stuck_source(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "testd.jsonl"
    libs = Path(__file__).parents[2] / "libs"
    daemon = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], env={"PYTHONPATH": str(libs)})
    try:
        give_up = time.monotonic() + 15.0
        while not path.exists() or path.read_bytes().count(b"test.fine") < 3:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        asked = time.monotonic()
        daemon.send_signal(number)
        assert daemon.wait(10.0) == 0
        assert time.monotonic() - asked < 2.0
    finally:
        daemon.kill()
        daemon.wait()
    *_, last = path.read_bytes().splitlines()
    assert msgspec.json.decode(last)["kv"] == {"event": "stop"}
