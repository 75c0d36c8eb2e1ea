"""benchctl query: rows for people and programs, one clear line for what cannot be asked."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from benchctl.query import connected
from benchlab.session import Session, new_session
from support.isolation import in_namespace
from support.mux_sessions import mux_closed, record, usual_run
from support.processes import Run, Start, ended
from support.sink_sessions import store, store_path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = new_session(tmp_path, "lab-1", node="bench")
    record(made, usual_run(frames=20))
    made.close(made.clock().now_ns())
    mux_closed(made)
    store(made)
    return made


@pytest.fixture
def ask(run: Run, tmp_path: Path) -> Run:
    return lambda *words: run("benchctl", "query", "--data-root", str(tmp_path), "--session", "lab-1", *words)


def test_rows_as_a_table(session: Session, ask: Run) -> None:
    done = ask("SELECT frame, lat_ms, flow, node FROM latency ORDER BY frame LIMIT 2")
    assert (done.returncode, done.stderr) == (0, "")
    title, _, first, second = done.stdout.splitlines()
    assert title.split() == ["frame", "lat_ms", "flow", "node"]
    assert [first.split(), second.split()] == [["0", "10", "NULL", "bench"], ["1", "10", "NULL", "bench"]]


def test_a_wide_row_is_not_folded_or_cut_in_a_pipe(session: Session, ask: Run) -> None:
    done = ask(f"SELECT '{'x' * 500}' AS long, 17 AS n")
    assert done.stdout.splitlines()[2].split() == ["x" * 500, "17"]


def test_text_that_looks_like_markup_is_shown_as_it_is(session: Session, ask: Run) -> None:
    assert "[bold]:smile:[/bold]" in ask("SELECT '[bold]:smile:[/bold]' AS text").stdout


def test_rows_as_json(session: Session, ask: Run) -> None:
    done = ask("--json", "SELECT frame, flow, ts_ns FROM latency ORDER BY frame")
    found = json.loads(done.stdout)
    assert len(found) == 20
    assert found[3] == {"frame": 3, "flow": None, "ts_ns": 1763800000058000000}
    assert json.loads(ask("--json", "SELECT 1 WHERE 0").stdout) == []


def test_rows_as_csv(session: Session, ask: Run) -> None:
    done = ask("--csv", "SELECT frame, 'a,\"b' AS text FROM latency WHERE frame < 2 ORDER BY frame")
    assert list(csv.reader(io.StringIO(done.stdout))) == [["frame", "text"], ["0", 'a,"b'], ["1", 'a,"b']]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEKT 1", "syntax error"),
        ("SELECT * FROM latenzy", "there are latency, dropped, signal, bookmark"),
        ("SELECT latenz FROM latency", "no such column: latenz"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("DELETE FROM latency", "readonly"),
        ("DROP TABLE latency", "readonly"),
        ("", "expected a SELECT"),
    ],
)
def test_wrong_sql_is_one_line_and_changes_nothing(session: Session, ask: Run, sql: str, said: str) -> None:
    before = store_path(session).read_bytes()
    done = ask(sql)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr
    assert store_path(session).read_bytes() == before


def test_a_session_without_store_is_told_how_to_get_one(run: Run, tmp_path: Path) -> None:
    new_session(tmp_path, "bare")
    done = run("benchctl", "query", "--data-root", str(tmp_path), "SELECT 1")
    assert done.returncode == 5
    assert "muxd --session bare --sink sqlite" in done.stderr
    assert "[sinks]" in done.stderr


def test_a_damaged_store_is_told_apart_from_wrong_sql(session: Session, ask: Run) -> None:
    store_path(session).write_bytes(b"this is no database\n" * 100)
    done = ask("SELECT 1")
    assert done.returncode == 5
    assert "mends or rebuilds it" in done.stderr


def test_simulated_data_is_said_to_be_simulated(session: Session, ask: Run) -> None:
    with sqlite3.connect(store_path(session)) as connection:
        connection.execute("UPDATE cursor SET sim = 1 WHERE stream LIKE '%latency%'")
    done = ask("SELECT AVG(lat_ms) FROM latency")
    assert done.returncode == 0
    assert done.stderr.startswith("simulated:")


def test_a_writer_is_not_blocked_by_a_query_that_is_being_read(session: Session) -> None:
    reading = connected(store_path(session))
    rows = reading.execute("SELECT * FROM latency")
    rows.fetchone()
    writing = sqlite3.connect(store_path(session), timeout=0)
    writing.execute("UPDATE latency SET lat_ms = 0")
    writing.commit()
    writing.close()
    assert len(rows.fetchall()) == 19
    reading.close()


def test_a_query_without_end_can_be_interrupted(session: Session, start: Start, tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    process = start("benchctl", "query", "--data-root", str(tmp_path), "--session", "lab-1", endless)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130


def test_a_store_on_a_read_only_medium_can_be_asked(session: Session) -> None:
    root = session.dir.parent.parent
    code = (
        "import sys; from benchctl.main import main; "
        f"sys.exit(main(['query', '--data-root', {str(root)!r}, '--session', 'lab-1', 'SELECT COUNT(*) FROM latency']))"
    )
    done = in_namespace(f"mount --bind {root} {root} && mount -o remount,bind,ro {root}", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "20"
