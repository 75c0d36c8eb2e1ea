"""Sessions that are closed and final: nothing to do, also where retention has deleted their raw files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchlab.cli import free_port
from benchlab.session import Session, open_session
from retentiond.trash import set_raw_aside
from support.mux_sessions import append, record, usual_run
from support.processes import Run, Start, ended, until

OTHER_PAIR = ("--pair", "encoded", "inference_done")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session that is closed, with a bad line in it."""
    made = open_session(tmp_path, "s")
    record(made, usual_run(30))
    append(made, "pipeline", b"garbage\n")
    made.close(1)
    return made


def muxd(run: Run, session: Session, *words: str) -> subprocess.CompletedProcess[str]:
    root, bind = str(session.dir.parent.parent), f"127.0.0.1:{free_port()}"
    return run("muxd", "--data-root", root, "--session", session.name, "--prom-bind", bind, *words)


def all_of(session: Session) -> dict[str, bytes]:
    """Return what every file of a session holds but its locks."""
    files = [path for path in session.dir.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(session.dir)): path.read_bytes() for path in files}


@pytest.mark.parametrize("words", [(), ("--once",)])
@pytest.mark.parametrize("trimmed", [False, True])
def test_final_session_is_nothing_to_do(run: Run, session: Session, trimmed: bool, words: tuple[str, ...]) -> None:
    assert muxd(run, session).returncode == 0
    assert (session.quarantine / "pipeline.jsonl").exists()
    if trimmed:
        set_raw_aside(session.dir)
    before = all_of(session)
    done = muxd(run, session, *words)
    assert done.returncode == 0, done.stderr
    assert "session s is closed and final: nothing to do" in done.stderr
    assert all_of(session) == before


def test_other_pairs_on_a_trimmed_session_exit_5_with_aligned_untouched(run: Run, session: Session) -> None:
    assert muxd(run, session).returncode == 0
    set_raw_aside(session.dir)
    before = all_of(session)
    done = muxd(run, session, *OTHER_PAIR)
    assert done.returncode == 5
    assert "aligned/ is left as it is" in done.stderr
    assert all_of(session) == before


def test_muxd_that_begins_to_follow_touches_no_other_session(start: Start, run: Run, session: Session) -> None:
    root = session.dir.parent.parent
    assert muxd(run, session).returncode == 0
    set_raw_aside(session.dir)
    unfinished = open_session(root, "unfinished")
    record(unfinished, usual_run(30))
    before = all_of(session), all_of(unfinished)
    process = start("muxd", "--data-root", str(root), *OTHER_PAIR, "--prom-bind", f"127.0.0.1:{free_port()}")
    until(lambda: (root / "sessions/current/state/mux.json").exists())
    process.terminate()
    assert ended(process)[0] == 0
    assert (all_of(session), all_of(unfinished)) == before


def test_replay_with_other_pairs_says_so_before_the_differences(run: Run, session: Session) -> None:
    assert muxd(run, session).returncode == 0
    done = muxd(run, session, "--replay", *OTHER_PAIR)
    first, *rest = done.stdout.splitlines()
    assert done.returncode == 1 and rest[0].startswith("latency.jsonl: differs from its replay")
    assert first == (
        "the settings differ: found pairs ingress encoded, expected encoded inference_done: "
        "replay with the --pair and [mux] that aligned/ was made with"
    )


def test_replay_with_the_same_settings_speaks_of_differences_only(run: Run, session: Session) -> None:
    assert muxd(run, session).returncode == 0
    path = session.aligned / "latency.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"lat_ms":10.0', b'"lat_ms":11.0', 1))
    assert "settings" not in muxd(run, session, "--replay").stdout
