"""The central config server: followed where it can be, told of local changes, and never answered in circles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from benchlab.httpd import HttpServer
from edgepower.access import Access
from edgepower.central import Central
from edgepower.control import Control
from edgepower.live import Live
from edgepower.management import MAX_BODY, Management
from support.config_server import ConfigServer
from support.edge_exporter import ask_json, config_of
from support.processes import until

LOCAL = "device_type: jetson_orin\nport: 9100\nmetrics:\n  a_watts: true\n  b_watts: false\n"
CENTRAL = {"device_type": "jetson_orin", "port": 9100, "reload_port": 9101}


class Device:
    """An exporter without sources, whose management API the server can call."""

    def __init__(self, folder: Path, url: str, text: str, token: str, timeout_s: float) -> None:
        self.config = config_of(folder, text)
        live = Live("edge-01")
        central = Central(url, "edge-01", timeout_s, token)
        self.restarts = 0
        self.control = Control(self.config, central, self.restarted, reload_apart_s=0.05, retry_s=(0.02, 0.1))
        routes = Management(self.config, live, self.control).routes()
        self.server = HttpServer("127.0.0.1", 0, routes, name="e", change="", guard=Access("").check, max_body=MAX_BODY)
        self.port = self.server.port
        self.server.start()

    def restarted(self) -> None:
        self.restarts += 1

    def enable(self, **chosen: bool) -> int:
        return ask_json(self.port, "POST", "/metrics/enable", chosen)[0]

    def close(self) -> None:
        self.control.close()
        self.server.close()


@pytest.fixture
def central() -> Iterator[ConfigServer]:
    server = ConfigServer()
    yield server
    server.close()


@pytest.fixture
def begin(tmp_path: Path, central: ConfigServer) -> Iterator[Callable[..., Device]]:
    with ExitStack() as made:

        def _begin(text: str = LOCAL, url: str = "", token: str = "", timeout_s: float = 10.0) -> Device:
            device = Device(tmp_path, url or central.url, text, token, timeout_s)
            made.callback(device.close)
            central.reload_port = device.port
            device.control.start()
            return device

        yield _begin


Begin = Callable[..., Device]


def quiet(central: ConfigServer) -> list[Any]:
    """Wait until the server hears nothing more, and return all it has heard."""
    while True:
        before = len(central.asked)
        sleep(0.5)
        if len(central.asked) == before:
            return central.asked


def test_at_the_start_the_servers_document_is_taken_over_and_kept(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = {**CENTRAL, "interval": 5, "metrics": {"b_watts": True}}
    device = begin()
    assert device.config.settings.interval_s == 5
    assert device.config.metrics == {"a_watts": True, "b_watts": True}
    assert "interval: 5" in device.config.path.read_text()
    assert ask_json(device.port, "GET", "/metrics/list")[1]["source"] == "server"
    assert [method for method, _ in quiet(central)] == ["GET"]


@pytest.mark.parametrize("fault", ["status", "raw", "list", "gone", "slow", "nonsense"])
def test_a_server_that_fails_leaves_the_local_file_and_is_not_written_to(
    fault: str, begin: Begin, central: ConfigServer, caplog: pytest.LogCaptureFixture
) -> None:
    central.documents["edge-01"] = {**CENTRAL, "port": "x" if fault == "nonsense" else 9200}
    central.status = 500 if fault == "status" else None
    central.raw = {"raw": b"<html>", "list": b"[1]"}.get(fault)
    central.delay_s = 3.0 if fault == "slow" else 0.0
    url = "http://127.0.0.1:1" if fault == "gone" else ""
    device = begin(url=url, timeout_s=0.2 if fault == "slow" else 10.0)
    assert device.config.settings.port == 9100
    assert device.config.path.read_text() == LOCAL
    assert ask_json(device.port, "GET", "/metrics/list")[1]["source"] == "local"
    assert central.told("PUT", "PATCH") == []
    assert bool(device.control.problem) == (fault == "nonsense")
    assert ("fallback to" in caplog.text) == (fault != "nonsense")


def test_a_device_the_server_does_not_know_is_registered_once(begin: Begin, central: ConfigServer) -> None:
    device = begin(LOCAL + "shelly:\n  password: hunter2\n")
    (told,) = central.told("PUT")
    assert told == {
        "device_type": "jetson_orin",
        "ip_address": "127.0.0.1",
        "port": 9100,
        "reload_port": 9101,
        "interval": 1.0,
        "metrics": {"a_watts": True, "b_watts": False},
    }
    del central.documents["edge-01"]
    for _ in range(3):
        assert ask_json(device.port, "POST", "/reload", Accept="application/json")[0] == 200
        quiet(central)
    assert device.enable(b_watts=True) == 200
    quiet(central)
    assert len(central.told("PUT", "PATCH")) == 1


def test_a_local_change_is_told_as_a_patch_on_top_of_what_the_server_says(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = {**CENTRAL, "metrics": {"a_watts": True}}
    device = begin()
    central.documents["edge-01"]["metrics"] = {"a_watts": True, "c_watts": True}  # edited there meanwhile
    assert device.enable(b_watts=True) == 200
    until(lambda: central.told("PATCH"))
    quiet(central)
    assert central.told("PATCH") == [{"metrics": {"a_watts": True, "c_watts": True, "b_watts": True}}]
    assert central.told("PUT") == []
    assert device.config.unsent == {}


def test_being_called_back_during_a_patch_is_answered_at_once_and_goes_in_no_circle(
    begin: Begin, central: ConfigServer
) -> None:
    central.documents["edge-01"] = {**CENTRAL, "metrics": {"a_watts": True, "b_watts": False}}
    device = begin()
    device.config.discover([f"new{n}_watts" for n in range(20)])
    device.control.enable({"b_watts": True})
    until(lambda: central.told("PATCH"))
    quiet(central)
    assert len(central.told("PATCH")) == 1 and central.told("PUT") == []
    assert [status for status, _ in central.reloads] == [200]
    assert len(central.told("GET")) <= 4
    assert device.config.metrics["b_watts"] is True and device.restarts == 0


def test_a_server_that_drops_keys_is_not_told_again_and_again(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = dict(CENTRAL)
    central.drops = ("metrics",)
    device = begin()
    device.enable(b_watts=True)
    until(lambda: central.told("PATCH"))
    quiet(central)
    assert len(central.told("PATCH")) == 1
    assert device.config.metrics["b_watts"] is True


def test_an_outage_is_outlived_and_the_change_arrives(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = {**CENTRAL, "metrics": {"b_watts": False}}
    device = begin()
    central.status = 503
    assert device.enable(b_watts=True) == 200
    until(lambda: len(central.told("GET")) >= 4)
    ask_json(device.port, "POST", "/reload", Accept="application/json")
    central.status = None
    until(lambda: central.told("PATCH"))
    quiet(central)
    assert central.documents["edge-01"]["metrics"]["b_watts"] is True
    assert device.config.metrics["b_watts"] is True
    assert central.told("PUT") == []


def test_a_reload_keeps_what_the_server_has_not_been_told_yet(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = {**CENTRAL, "metrics": {"a_watts": False, "b_watts": False}}
    device = begin()
    device.config.enable({"b_watts": True})  # not told: nobody woke the one who tells
    device.config.adopt(central.documents["edge-01"])
    assert device.config.metrics == {"a_watts": False, "b_watts": True}


@pytest.mark.parametrize("status", [401, 403, 400])
def test_a_refusal_is_final_and_no_storm(status: int, begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = {**CENTRAL, "metrics": {}}
    device = begin()
    central.status = status
    device.enable(b_watts=True)
    until(lambda: len(central.asked) > 1)
    assert len(quiet(central)) == 2
    assert device.config.metrics["b_watts"] is True


def test_many_reloads_together_are_one(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = dict(CENTRAL)
    central.delay_s = 0.2
    device = begin()
    for _ in range(30):
        assert ask_json(device.port, "POST", "/reload", Accept="application/json")[0] == 200
    assert len([method for method, _ in quiet(central) if method == "GET"]) <= 6


def test_a_reload_takes_over_what_was_edited_on_the_server(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = dict(CENTRAL)
    device = begin()
    central.documents["edge-01"] |= {"interval": 2, "metrics": {"a_watts": False}}
    central.call_reload()
    until(lambda: device.restarts)
    assert (device.config.settings.interval_s, device.config.metrics["a_watts"]) == (2, False)
    assert central.told("PUT", "PATCH") == []


def test_the_token_is_sent_where_there_is_one(begin: Begin, central: ConfigServer) -> None:
    central.documents["edge-01"] = dict(CENTRAL)
    begin(token="s3cret")
    assert central.tokens == {"Bearer s3cret"}


def test_openssl_is_loaded_for_a_server_and_not_before() -> None:
    code = """
import sys, edgepower.main
from edgepower.central import Central, Unreachable
assert not {"ssl", "_ssl"} & sys.modules.keys(), "loaded for nobody"
for url in ("http://127.0.0.1:1", "https://127.0.0.1:1"):
    try:
        Central(url, "edge-01", 5.0).get()
    except Unreachable as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Connection refused") == 2


def test_a_host_name_is_no_path() -> None:
    assert Central("http://c:8080/", "../x/y", 1.0)._address == "http://c:8080/config/..%2Fx%2Fy"
