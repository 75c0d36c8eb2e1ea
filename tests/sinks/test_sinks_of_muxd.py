"""muxd with a sink, as a program: live, once, after the end, told to stop, and seen on /metrics."""

from __future__ import annotations

import signal
import subprocess
import urllib.request
from pathlib import Path

from benchlab.cli import free_port
from benchlab.log.vouched import read_vouched
from benchlab.session import Session, new_session
from benchlab.session_file import read_info
from support.mux_sessions import record, usual_run
from support.processes import Run, Start, ended, until
from support.sink_sessions import assert_store_is_the_log, has_rows, store_path, stored


def recorded(tmp_path: Path) -> Session:
    session = new_session(tmp_path, "s", node="bench")
    record(session, usual_run(frames=100))
    return session


def options(session: Session, *more: str) -> list[str]:
    return ["--data-root", str(session.dir.parent.parent), "--session", session.name, *more]


def live(start: Start, session: Session, *more: str, **env: str) -> subprocess.Popen[bytes]:
    bind = ("--prom-bind", f"127.0.0.1:{free_port()}")
    return start("muxd", *options(session, "--pair", "ingress", "encoded", *bind, *more), **env)


def test_a_session_that_ends_is_stored_to_its_end_before_muxd_leaves(start: Start, tmp_path: Path) -> None:
    session = recorded(tmp_path)
    process = live(start, session, "--sink", "sqlite")
    until(lambda: store_path(session).exists())
    session.close(session.clock().now_ns())
    assert ended(process)[0] == 0
    assert_store_is_the_log(session)
    assert stored(session, "latency")[0]["node"] == "bench"


def test_a_final_session_is_stored_by_a_later_muxd(start: Start, run: Run, tmp_path: Path) -> None:
    session = recorded(tmp_path)
    session.close(session.clock().now_ns())
    assert run("muxd", *options(session, "--once")).returncode == 0
    vouched = read_vouched(session.state)
    assert vouched is not None and vouched.final and not store_path(session).exists()
    assert ended(live(start, session, BENCHLAB_SINKS_SQLITE="true"))[0] == 0
    assert_store_is_the_log(session)


def test_once_stores_what_is_vouched_for(run: Run, tmp_path: Path) -> None:
    session = recorded(tmp_path)
    assert run("muxd", *options(session, "--once", "--sink", "sqlite")).returncode == 0
    count = len(stored(session, "latency"))
    assert 0 < count < 100
    session.close(session.clock().now_ns())
    assert run("muxd", *options(session, "--once", "--sink", "sqlite")).returncode == 0
    assert_store_is_the_log(session)
    assert len(stored(session, "latency")) == 100


def test_told_to_stop_muxd_stores_its_last_checkpoint_first(start: Start, tmp_path: Path) -> None:
    session = recorded(tmp_path)
    process = live(start, session, "--sink", "sqlite")
    until(lambda: has_rows(session))
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0
    vouched = read_vouched(session.state)
    assert vouched is not None
    cursors = {row["stream"]: row["offset"] for row in stored(session, "cursor")}
    assert cursors["aligned/latency.jsonl"] == vouched.outputs["latency.jsonl"]


def test_a_store_that_cannot_be_made_stops_nobody(start: Start, tmp_path: Path) -> None:
    session = recorded(tmp_path)
    (session.dir / "store").write_text("in the way")
    process = live(start, session, "--sink", "sqlite")
    until(lambda: (vouched := read_vouched(session.state)) and vouched.outputs["latency.jsonl"])
    session.close(session.clock().now_ns())
    code, _, said = ended(process)
    assert code == 0
    assert said.count("nothing is lost, it is tried again") == 1
    assert "sink sqlite has not stored everything" in said


def test_after_a_rotation_each_session_is_stored_to_its_end(start: Start, tmp_path: Path) -> None:
    first = recorded(tmp_path)
    bind = ("--prom-bind", f"127.0.0.1:{free_port()}")
    start("muxd", "--data-root", str(tmp_path), "--pair", "ingress", "encoded", "--sink", "sqlite", *bind)
    until(lambda: has_rows(first))
    second = new_session(tmp_path, "after", node="bench")
    until(lambda: read_info(first.dir).closed and not (first.store / "telemetry.db-wal").exists(), 60)
    assert_store_is_the_log(first)
    assert len(stored(first, "latency")) == 100
    until(lambda: store_path(second).exists())


def test_lag_and_rejections_are_on_the_metrics_page(start: Start, tmp_path: Path) -> None:
    session = recorded(tmp_path)
    port = free_port()
    start("muxd", *options(session, "--sink", "sqlite", "--prom-bind", f"127.0.0.1:{port}"))

    def page() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return ""

    until(lambda: 'benchlab_sink_lag_seconds{sink="sqlite"} 0.0' in page())
    assert "# TYPE benchlab_sink_rejected_total counter" in page()


def test_an_unknown_sink_is_a_usage_error_that_lists_those_there_are(run: Run, tmp_path: Path) -> None:
    done = run("muxd", "--data-root", str(tmp_path), "--sink", "oracle")
    assert done.returncode == 2
    assert "sqlite" in done.stderr
