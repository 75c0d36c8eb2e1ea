"""Rotations faster than muxd looks: it works through every session between."""

from __future__ import annotations

from pathlib import Path

from benchctl.recording import mux_of_current
from benchlab.cli import free_port
from benchlab.files import FileLock
from benchlab.session import list_sessions, new_session
from muxd.opening import is_finished
from support.processes import Start, ended, until


def test_muxd_finishes_the_sessions_that_were_current_for_a_moment(start: Start, tmp_path: Path) -> None:
    mux = start("muxd", "--data-root", str(tmp_path), "--prom-bind", f"127.0.0.1:{free_port()}")
    until(lambda: mux_of_current(tmp_path) == mux.pid)
    made = [new_session(tmp_path, name).name for name in ("a", "b", "c")]
    *over, last = list_sessions(tmp_path)
    assert [session.name for session in over[1:]] == made[:-1] and last.name == made[-1]
    until(lambda: all(is_finished(reloaded) for reloaded in list_sessions(tmp_path)[:-1]))
    assert not list_sessions(tmp_path)[-1].info.closed
    mux.terminate()
    assert ended(mux)[0] == 0


def test_session_between_that_another_muxd_holds_keeps_nobody_from_the_current_one(
    start: Start, tmp_path: Path
) -> None:
    mux = start("muxd", "--data-root", str(tmp_path), "--prom-bind", f"127.0.0.1:{free_port()}")
    until(lambda: mux_of_current(tmp_path) == mux.pid)
    state = tmp_path / "sessions/held/state"
    state.mkdir(parents=True)
    with FileLock(state / "mux.lock", "muxd"):
        new_session(tmp_path, "held")
        current = new_session(tmp_path, "current-one")
        until(lambda: FileLock(current.state / "mux.lock", "").holder == mux.pid)
        mux.terminate()
        assert ended(mux)[0] == 0
    assert not (state / "mux.json").exists()
