"""benchctl record where a muxd already follows the current session."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchctl.audit import audit_session
from benchctl.recording import mux_of_current
from benchlab.cli import free_port
from benchlab.log.vouched import read_vouched
from benchlab.session import list_sessions, open_session
from support.mux_sessions import rows, written
from support.processes import Run, Start, ended, sessions, until

PAIR = ("--pair", "ingress", "encoded")
COLLECTOR = ("--with", "r5c_capture --simulate")


def follower(start: Start, data_root: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a muxd that follows the current session, and return where it serves."""
    bind = f"127.0.0.1:{free_port()}"
    process = start("muxd", "--data-root", str(data_root), *PAIR, "--prom-bind", bind)
    until(lambda: mux_of_current(data_root) == process.pid)
    return process, bind


def test_record_leaves_its_session_to_the_muxd_that_follows(start: Start, run: Run, tmp_path: Path) -> None:
    mux, bind = follower(start, tmp_path)
    words = ("--data-root", str(tmp_path), "--prom-bind", bind, *PAIR, *COLLECTOR)  # its port is no obstacle
    done = run("benchctl", "record", "--session", "r", *words, "--", "sleep", "2")
    assert done.returncode == 0, done.stderr
    assert f"muxd (pid {mux.pid}) follows the current session: it muxes this one" in done.stderr
    session = open_session(tmp_path, "r", create=False)
    assert len(rows(session)) > 60
    assert audit_session(session.dir, closed=True).findings == []
    assert done.stderr.count("export     ") == 2
    before = sessions(tmp_path)
    done = run("benchctl", "record", "--session", "r2", *words, "--", "sleep", "1")
    assert done.returncode == 0, done.stderr
    assert sessions(tmp_path) == sorted([*before, "r2"])  # nobody makes sessions that nobody records
    until(lambda: all(one.info.closed for one in list_sessions(tmp_path)))
    mux.terminate()
    code, _, err = ended(mux)
    assert (code, "rebuilt" in err, "staying" in err) == (0, False, False), err


def test_pair_that_the_other_muxd_does_not_make_is_a_problem(start: Start, run: Run, tmp_path: Path) -> None:
    mux, bind = follower(start, tmp_path)
    words = ("--data-root", str(tmp_path), "--session", "r", "--prom-bind", bind, "--pair", "encoded", "sent")
    done = run("benchctl", "record", *words, "--", "true")
    assert done.returncode == 5
    assert f"muxd (pid {mux.pid}) does not make the pair encoded sent" in done.stderr


def test_muxd_that_stays_with_a_named_session_is_no_follower(start: Start, run: Run, tmp_path: Path) -> None:
    open_session(tmp_path)
    named = open_session(tmp_path).name
    start("muxd", "--data-root", str(tmp_path), "--session", named, "--prom-bind", f"127.0.0.1:{free_port()}")
    until(lambda: mux_of_current(tmp_path))
    words = ("--data-root", str(tmp_path), "--session", "r", "--prom-bind", f"127.0.0.1:{free_port()}")
    done = run("benchctl", "record", *words, *PAIR, *COLLECTOR, "--", "sleep", "1")
    assert done.returncode == 0, done.stderr
    assert "follows the current session" not in done.stderr
    vouched = read_vouched(open_session(tmp_path, "r", create=False).state)
    assert vouched is not None and vouched.final


def test_follower_leaves_a_session_alone_that_another_muxd_has_finished(start: Start, run: Run, tmp_path: Path) -> None:
    mux, _ = follower(start, tmp_path)
    other = open_session(tmp_path, "other")
    other.close(other.clock().now_ns())
    assert run("muxd", "--data-root", str(tmp_path), "--session", "other", "--pair", "a", "b").returncode == 0
    before = written(other), (other.state / "mux.json").read_bytes()
    link = tmp_path / "sessions/current"
    link.unlink()
    link.symlink_to("other")
    until(lambda: mux.poll() is not None or all(one.info.closed for one in list_sessions(tmp_path)))
    mux.terminate()
    assert ended(mux)[0] == 0
    assert (written(other), (other.state / "mux.json").read_bytes()) == before
