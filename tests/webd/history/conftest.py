"""A client of the history routes over sessions that the project's own muxd has made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from benchlab.config import Config
from benchlab.session import Session
from support.mux_sessions import append, make_session, meta, mux_closed, numbered, record, stage, usual_run
from support.sink_sessions import bookmark
from webd.desk import Desk
from webd.errors import Refusal, answer_error, answer_refusal
from webd.history.routes import routes
from webd.history.shelf import Shelf

FRAMES = 60


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def client(data_root: Path) -> Iterator[TestClient]:
    handlers = {Refusal: answer_refusal, HTTPException: answer_error}
    app = Starlette(routes=routes(Desk(data_root, Config()), Shelf()), exception_handlers=handlers)
    with TestClient(app) as client:
        yield client


@pytest.fixture
def session(data_root: Path) -> Session:
    """A closed session of 60 frames every 16 ms with power, an orphan, two damaged lines and a bookmark."""
    session = make_session(data_root / "sessions" / "lab-1")
    record(session, usual_run(frames=FRAMES))
    length = FRAMES * 16
    append(session, "other", numbered([meta(-5, "start"), stage(3, "encoded", "orphan"), meta(length + 99, "alive")]))
    append(session, "other", b"torn\n{}\n")
    append(session, "bookmarks", numbered([meta(1, "start"), bookmark(5, "läßt nach"), meta(5, "stop")]))
    mux_closed(session)
    return session
