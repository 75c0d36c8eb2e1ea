"""muxd and a disk without room: it waits, says so once, and goes on as if nothing had been."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.isolation import in_namespace

TESTS = Path(__file__).parents[1]
MOUNT = 'mkdir "$2" && mount -t tmpfs -o size=6m tmpfs "$2"'

HEAD = """
import atexit, os, subprocess, sys, time
from pathlib import Path
data_root, tests, again = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
sys.path.insert(0, tests)
from benchlab.config import Config
from benchlab.log.vouched import read_vouched
from benchlab.session import open_session
from muxd.settings import settings_of
from support.mux_sessions import record, replayed, usual_run, written

session = open_session(data_root, "s")
record(session, usual_run(frames=5000))

def fill(but):
    free = os.statvfs(data_root)
    (data_root / "filler").write_bytes(b"x" * max(0, free.f_bavail * free.f_frsize - but))

def begin(*more):
    words = [sys.executable, "-m", "muxd", "--data-root", str(data_root), "--session", "s"]
    process = subprocess.Popen([*words, "--prom-bind", "127.0.0.1:0", *more], stderr=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process

def judge(process):
    err = process.communicate(timeout=15)[1]
    assert process.returncode == 0, err
    assert read_vouched(session.state).final
    assert written(session) == replayed(session, again, settings_of(Config(), None, session.info))
    told = [line for line in err.splitlines() if "ERROR" in line]
    assert len(told) == 1 and "No space left on device" in told[0] and "nothing is lost" in told[0], err
    assert err.count("is written again") == 1, err
    print("well")
"""

SURVIVES = """
fill(but=300_000)
process = begin()
time.sleep(1.5)
assert process.poll() is None, process.communicate()
(data_root / "filler").unlink()
time.sleep(1.5)
session.close(1)
judge(process)
"""

ENDS = """
fill(but=300_000)
session.close(1)
process = begin()
time.sleep(1.5)
assert process.poll() is None, process.communicate()
(data_root / "filler").unlink()
judge(process)
"""

KILLED = """
fill(but=300_000)
process = begin()
time.sleep(1.3)
process.kill()
process.communicate()
(data_root / "filler").unlink()
fill(but=600_000)
process = begin()
time.sleep(1.3)
(data_root / "filler").unlink()
time.sleep(1.5)
session.close(1)
judge(process)
"""

LEAVES = """
fill(but=300_000)
process = begin()
time.sleep(1.3)
process.terminate()
err = process.communicate(timeout=10)[1]
assert process.returncode == 0, err
assert "the next start goes on from the one before" in err, err
assert sum("nothing is lost" in line for line in err.splitlines()) == 1, err
(data_root / "filler").unlink()
session.close(1)
process = begin()
err = process.communicate(timeout=15)[1]
assert process.returncode == 0 and "rebuilt" not in err, err
print("well")
"""

ONE_SHOT = """
session.close(1)
fill(but=300_000)
for more in (["--once"], ["--replay", "--out", str(data_root / "out")]):
    process = begin(*more)
    err = process.communicate(timeout=15)[1]
    assert process.returncode == 5 and err.count("\\n") == 1 and "No space left on device" in err, (more, err)
assert not read_vouched(session.state) or not read_vouched(session.state).final
print("well")
"""


def on_a_small_disk(code: str, tmp_path: Path) -> None:
    done: subprocess.CompletedProcess[str] = in_namespace(
        MOUNT, HEAD + code, tmp_path / "root", TESTS, tmp_path / "again"
    )
    assert done.stdout == "well\n", done.stdout + done.stderr


def test_full_disk_is_waited_out_and_leaves_no_trace(tmp_path: Path) -> None:
    on_a_small_disk(SURVIVES, tmp_path)


def test_closed_session_on_a_full_disk_is_ended_when_there_is_room(tmp_path: Path) -> None:
    on_a_small_disk(ENDS, tmp_path)


def test_kill_while_the_disk_is_full_loses_nothing(tmp_path: Path) -> None:
    on_a_small_disk(KILLED, tmp_path)


def test_muxd_that_is_told_to_stop_on_a_full_disk_stops(tmp_path: Path) -> None:
    on_a_small_disk(LEAVES, tmp_path)


def test_once_and_replay_on_a_full_disk_say_so_and_never_end_early(tmp_path: Path) -> None:
    on_a_small_disk(ONE_SHOT, tmp_path)
