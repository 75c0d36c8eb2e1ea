"""An hour of a simulated Pi on its battery, muxd killed ten times: the logger's tables are the raw log, exactly."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest

from benchlab.cli import free_port
from benchlab.session import Session, new_session
from support.logger_databases import asked, sound
from support.mux_sessions import append, meta
from support.pi_ticks import assert_ticks_are_the_log, simulated
from support.processes import Start, ended, until
from support.sink_sessions import store_path

KILLS = 10
HOUR_S = 3600
TICKS = HOUR_S // 5


def write_an_hour(session: Session, end: threading.Event) -> None:
    append(session, "pimon", [meta(-1, "start", disorder_ms=50)])
    for _, events in simulated(HOUR_S):
        append(session, "pimon", events[:1])
        append(session, "pimon", events[1:])
        if end.wait(0.02):
            return


def stored_ticks(session: Session) -> int:
    try:
        return int(asked(store_path(session), "SELECT COUNT(*) FROM system_sample")[0][0])
    except sqlite3.OperationalError:
        return 0


def has_more(session: Session, than: int, writer: threading.Thread) -> bool:
    return stored_ticks(session) > than or not writer.is_alive()


@pytest.mark.xdist_group("long")
def test_ten_kills_leave_every_tick_once(start: Start, tmp_path: Path) -> None:
    session, end, random = new_session(tmp_path, "killed", node="pi"), threading.Event(), Random(11)
    where = ("--data-root", str(tmp_path), "--session", session.name, "--sink", "sqlite")
    writer = threading.Thread(target=write_an_hour, args=(session, end))
    writer.start()
    try:
        for life in range(KILLS):
            process = start("muxd", *where, "--prom-bind", f"127.0.0.1:{free_port()}")
            if life % 2 == 0:  # however slow the machine is, some lives get somewhere
                until(partial(has_more, session, stored_ticks(session), writer), 60)
            time.sleep(random.uniform(0.2, 0.9))
            process.send_signal(signal.SIGKILL)
            process.wait()
        writer.join()
    finally:
        end.set()
        writer.join()
    session.close(session.clock().now_ns())
    code, _, said = ended(start("muxd", *where, "--prom-bind", f"127.0.0.1:{free_port()}"))
    assert code == 0, said
    assert stored_ticks(session) == TICKS
    assert_ticks_are_the_log(session)
    assert sound(store_path(session))
    assert asked(store_path(session), "SELECT DISTINCT session, node, sim FROM system_sample") == [
        (session.info.id, "pi", 1)
    ]
    assert {row[0] for row in asked(store_path(session), "SELECT generation FROM cursor")} == {1}
