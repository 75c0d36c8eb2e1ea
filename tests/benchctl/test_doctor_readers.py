"""doctor on the readers: the dashboard, the sinks, CapFrameX."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from benchctl.checks import ABSENT, FAIL, OK, WARN
from benchctl.doctor_readers import capframex_check, dashboard_check, influx_check, sqlite_check
from benchlab.cli import free_port
from benchlab.config_schema import Influx, Web


def test_dashboard_that_was_not_built_has_the_command(tmp_path: Path) -> None:
    check = dashboard_check(Web(), tmp_path)
    assert check.state == ABSENT and "npm run build" in (check.fix or "")
    (tmp_path / "index.html").touch()
    assert dashboard_check(Web(), tmp_path).state == OK


def test_dashboard_that_the_configuration_names_has_to_be_there(tmp_path: Path) -> None:
    check = dashboard_check(Web(static_dir=str(tmp_path)))
    assert check.state == FAIL and str(tmp_path) in check.found


def test_dashboard_without_its_part_of_python_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchctl.doctor_readers.find_spec", lambda name: None if name == "uvicorn" else object())
    check = dashboard_check(Web())
    assert (check.state, check.fix) == (ABSENT, "pip install -r requirements-web.txt")
    assert "uvicorn" in check.found and "starlette" not in check.found


def test_sqlite_is_told_on_or_off() -> None:
    assert (sqlite_check(True).state, sqlite_check(False).state) == (OK, ABSENT)


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "state"), [(204, OK), (401, OK), (404, OK), (503, WARN)])
def test_influx_that_answers(status: int, state: str) -> None:
    with answering(status) as (url, asked):
        check = influx_check(Influx(influx_url=url), is_on=True)
    assert (check.state, asked) == (state, ["/ping"])
    assert ("token" in check.found) == (status == 401)


def test_influx_that_does_not_answer_fails_only_where_it_is_asked_for() -> None:
    influx = Influx(influx_url=f"http://127.0.0.1:{free_port()}")
    assert influx_check(influx, is_on=True).state == FAIL
    assert influx_check(influx, is_on=False).state == ABSENT


def test_influx_with_a_token_that_cannot_be_read(tmp_path: Path) -> None:
    check = influx_check(Influx(token_file=str(tmp_path / "token")), is_on=True)
    assert check.state == FAIL and "token_file" in check.found


def test_influx_without_its_part_of_python_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchctl.doctor_readers.find_spec", lambda name: None)
    assert influx_check(Influx(), is_on=True).fix == "pip install -r requirements-influx.txt"


def test_folder_of_capframex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert capframex_check(str(tmp_path), is_on=True).state == OK
    assert capframex_check(str(tmp_path), is_on=False).state == ABSENT
    assert capframex_check(str(tmp_path / "none"), is_on=True).state == ABSENT
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert capframex_check(str(tmp_path), is_on=True).state == WARN
