"""The command line, the daily loop, and the service manager's view of it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from benchlab.daemon.notify import Notifier
from benchlab.daemon.stopping import Stopped
from benchlab.errors import Fault
from benchlab.files import FileLock
from retentiond.daily import AGAIN_NS, DAY_NS, LOOK_S, Daily
from retentiond.report import Report, human
from support.old_sessions import Old, content, timestamp
from support.processes import ended, until

Run = Callable[..., "subprocess.CompletedProcess[str]"]

LONG_AGO = 5000.0


def test_defaults_come_from_the_configuration_and_flags_go_first(tmp_path: Path, run: Run) -> None:
    """With the seeds' own variables; the sessions are of the day of the run."""
    old = Old(tmp_path, "dev", 0)
    old.describe(0, created=f"{time.strftime('%Y')}-01-01T00:00:00Z")
    args = ("retentiond", "--data-root", str(tmp_path), "--run-once")
    run(*args, BENCHLAB_RETENTION_DAYS="36500", BENCHLAB_RAW_KEEP_DAYS="36500")
    assert old.has_raw
    old.describe(LONG_AGO)
    run(*args, "--days", "36500", BENCHLAB_RETENTION_DAYS="1", BENCHLAB_RAW_KEEP_DAYS="36500")
    assert old.has_raw
    run(*args, "--days", "36500", BENCHLAB_RETENTION_DAYS="1", BENCHLAB_RAW_KEEP_DAYS="7")
    assert old.dir.exists() and not old.has_raw
    run(*args, BENCHLAB_RETENTION_DAYS="1")
    assert not old.dir.exists()


def test_dry_run_deletes_nothing_writes_nothing_and_says_the_same(tmp_path: Path, run: Run) -> None:
    Old(tmp_path, "a", LONG_AGO)
    Old(tmp_path, "b", LONG_AGO, pinned=True)
    before = content(tmp_path), sorted(tmp_path.rglob("*"))
    dry = run("retentiond", "--data-root", str(tmp_path), "--run-once", "--dry-run")
    assert (content(tmp_path), sorted(tmp_path.rglob("*"))) == before
    wet = run("retentiond", "--data-root", str(tmp_path), "--run-once")
    assert (dry.returncode, wet.returncode) == (0, 0)
    assert dry.stdout.replace("would be ", "") == wet.stdout
    assert "session b kept: it is pinned" in wet.stdout


def test_json_report_has_the_sums_and_the_reasons(tmp_path: Path, run: Run) -> None:
    Old(tmp_path, "a", LONG_AGO)
    Old(tmp_path, "b", LONG_AGO, pinned=True)
    (Old(tmp_path, timestamp(LONG_AGO), LONG_AGO).dir / "session.json").write_text("{")
    done = run("retentiond", "--data-root", str(tmp_path), "--run-once", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["freed"]["sessions"] == 1 and said["freed"]["bytes"] == said["deleted_sessions"][0]["bytes"] > 0
    assert said["kept"] == {"pinned": 1, "unreadable": 1}
    assert [(k["session"], k["reason"]) for k in said["kept_sessions"]] == [
        (timestamp(LONG_AGO), "unreadable"),
        ("b", "pinned"),
    ]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--session", "dev"], 2, "retention sees to all sessions"),
        (["--days", "0"], 2, "from 1"),
        (["--raw-keep-days", "-1"], 2, "from 0"),
    ],
)
def test_flags_that_make_no_sense_are_refused(tmp_path: Path, run: Run, args: list[str], code: int, said: str) -> None:
    old = Old(tmp_path, "dev", LONG_AGO)
    done = run("retentiond", "--data-root", str(tmp_path), "--run-once", *args)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert old.has_raw


def test_without_any_session_there_is_nothing_to_do_and_nothing_is_made(tmp_path: Path, run: Run) -> None:
    done = run("retentiond", "--data-root", str(tmp_path / "none"), "--run-once")
    assert done.returncode == 0 and "0 sessions kept" in done.stdout
    assert not (tmp_path / "none").exists()


def test_second_run_beside_the_first_is_refused_with_its_pid(tmp_path: Path, run: Run) -> None:
    old = Old(tmp_path, "dev", LONG_AGO)
    with FileLock(tmp_path / "retention.lock", "retentiond"):
        done = run("retentiond", "--data-root", str(tmp_path), "--run-once")
    assert done.returncode == 5 and "retentiond (pid " in done.stderr
    assert old.has_raw


def test_daemon_says_ready_works_at_once_and_ends_at_once_on_sigterm(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    old = Old(tmp_path, "dev", LONG_AGO)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(30)
    daemon = start("retentiond", "--data-root", str(tmp_path), NOTIFY_SOCKET=str(tmp_path / "notify"))
    assert manager.recv(100) == b"READY=1"
    until(lambda: not (tmp_path / "sessions" / "dev").exists())
    until(lambda: FileLock(tmp_path / "retention.lock", "").holder is None)
    asked = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    code, out, err = ended(daemon)
    assert (code, time.monotonic() - asked < 2.0) == (0, True)
    assert "session dev deleted" in out and "Traceback" not in err
    assert not old.dir.exists()
    said = [manager.recv(100)]
    while said[-1] != b"STOPPING=1":
        said.append(manager.recv(100))
    manager.close()


class Days:
    """A clock that only sleeping moves, and a run that is written down; it ends when time is up."""

    def __init__(self, end_ns: int, *, results: list[Report | Exception] | None = None, low_from_ns: int = 10**30):
        self.now_ns = 0
        self.runs: list[int] = []
        self._end_ns = end_ns
        self._results = results or []
        self._low_from_ns = low_from_ns

    def run(self) -> Report:
        self.runs.append(self.now_ns)
        result = self._results.pop(0) if self._results else Report(False)
        if isinstance(result, Exception):
            raise result
        return result

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        if self.now_ns >= self._end_ns:
            raise Stopped

    def live(self) -> list[int]:
        daily = Daily(
            self.run,
            lambda: self.now_ns >= self._low_from_ns,
            Notifier({}),
            clock=lambda: self.now_ns,
            sleep=self.sleep,
        )
        with pytest.raises(Stopped):
            daily.serve()
        return self.runs


def test_loop_runs_at_once_and_then_every_day() -> None:
    runs = Days(3 * DAY_NS + 1).live()
    assert [run // DAY_NS for run in runs] == [0, 1, 2, 3]


def test_failed_run_is_repeated_after_an_hour_and_ends_nothing() -> None:
    results: list[Report | Exception] = [Fault("the disk is away"), OSError(5, "Input/output error"), Report(False)]
    assert Days(2 * DAY_NS, results=results).live() == [0, AGAIN_NS, 2 * AGAIN_NS, 2 * AGAIN_NS + DAY_NS]


def test_full_disk_is_seen_within_a_minute_and_not_asked_every_minute_when_nothing_can_go() -> None:
    hour = AGAIN_NS
    full = Report(False, min_free_bytes=2, free_bytes=1)
    runs = Days(4 * hour, results=[Report(False), full, full, full], low_from_ns=hour).live()
    assert runs[0] == 0 and hour <= runs[1] <= hour + LOOK_S * 1e9
    assert [later - sooner >= hour for sooner, later in pairwise(runs[1:])] == [True, True]


def test_interrupted_in_the_middle_of_deleting_the_next_run_ends_it(tmp_path: Path, run: Run) -> None:
    old = Old(tmp_path, "dev", LONG_AGO)
    rest = old.dir.rename(old.dir.with_name(".dev.deleting"))
    done = run("retentiond", "--data-root", str(tmp_path), "--run-once")
    assert "rest of .dev.deleting deleted" in done.stdout
    assert not rest.exists()


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes_read_as_people_write_them(size: int, said: str) -> None:
    assert human(size) == said
