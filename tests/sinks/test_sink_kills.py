"""muxd is killed again and again while writers write and a reader reads: the store is the log, exactly."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path
from random import Random

import pytest

from benchlab.cli import free_port
from benchlab.session import Session, new_session
from support.mux_sessions import append, meta, power, stage
from support.processes import Start, ended, until
from support.sink_sessions import assert_store_is_the_log, bookmark, has_rows, store_path, stored

KILLS = 50
FRAME_MS = 16.0


class Writers:
    """Writes frames, power and now and then a bookmark, until it is told to end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.frames = 0
        append(session, "pipeline", [meta(-1, "start", disorder_ms=20)])
        append(session, "benchlab", [meta(-50, "start", disorder_ms=20), power(-50, 100.0)])
        self._thread.start()

    def end(self) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.01):
            for _ in range(3):
                self._frame(self.frames * FRAME_MS)
                self.frames += 1

    def _frame(self, ms: float) -> None:
        append(self._session, "benchlab", [power(ms + 5, 100.0 + self.frames % 50, temp_c=40 + self.frames % 7)])
        append(self._session, "pipeline", [stage(ms, "ingress", self.frames), stage(ms + 9, "encoded", self.frames)])
        if self.frames % 100 == 0:
            append(self._session, "bookmarks", [bookmark(ms, f"frame {self.frames}")])


class Reader:
    """Reads through one connection all the time, and holds each snapshot against the log."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.problems: list[str] = []
        self.counts = [0]
        self._thread.start()

    def end(self) -> None:
        self._end.set()
        self._thread.join()

    def wait_for_more(self) -> None:
        seen = self.counts[-1]
        until(lambda: self.counts[-1] > seen)

    def _run(self) -> None:
        uri = f"{store_path(self._session).as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5)
        try:
            while not self._end.wait(0.1):
                self._look(connection)
        except sqlite3.Error as error:
            self.problems.append(str(error))
        finally:
            connection.close()

    def _look(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")
        (rows,) = connection.execute(
            "SELECT (SELECT COUNT(*) FROM latency) + (SELECT COUNT(*) FROM dropped)"
        ).fetchone()
        offsets = connection.execute("SELECT offset FROM cursor WHERE stream = 'aligned/latency.jsonl'").fetchall()
        connection.execute("COMMIT")
        offset = offsets[0][0] if offsets else 0
        with (self._session.aligned / "latency.jsonl").open("rb") as file:
            lines = file.read(offset).count(b"\n")
        if rows != lines or rows < self.counts[-1]:
            self.problems.append(f"{rows} rows of {lines} lines up to byte {offset}, {self.counts[-1]} before")
        self.counts.append(rows)


def muxd(start: Start, session: Session, *options: str) -> subprocess.Popen[bytes]:
    root = session.dir.parent.parent
    where = ("--data-root", str(root), "--session", session.name, "--prom-bind", f"127.0.0.1:{free_port()}")
    return start("muxd", *where, "--pair", "ingress", "encoded", "--sink", "sqlite", *options)


@pytest.mark.xdist_group("long")
def test_fifty_kills_leave_every_row_once_and_no_reader_disturbed(start: Start, tmp_path: Path) -> None:
    session = new_session(tmp_path, "killed", node="bench")
    writers, random, reader = Writers(session), Random(7), None
    try:
        for life in range(KILLS):
            process = muxd(start, session)
            if reader is None:
                until(lambda: has_rows(session))
                reader = Reader(session)
            elif life % 4 == 3:  # however slow the machine is, some lives get somewhere
                reader.wait_for_more()
            time.sleep(random.uniform(0.3, 1.7))
            process.send_signal(signal.SIGKILL)
            process.wait()
    finally:
        writers.end()
        if reader is not None:
            counts = list(reader.counts)
    session.close(session.clock().now_ns())
    code, _, said = ended(muxd(start, session))
    assert reader is not None
    reader.end()
    assert code == 0, said
    assert reader.problems == []
    assert len(set(counts)) > 10
    assert_store_is_the_log(session)
    assert len(stored(session, "latency")) == writers.frames
    assert {row["generation"] for row in stored(session, "cursor")} == {1}
