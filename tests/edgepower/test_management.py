"""The management API over HTTP: what it answers to good requests, to bad ones, and to strangers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchlab.daemon import Absent
from benchlab.errors import Exit, Fault
from benchlab.httpd import HttpServer
from edgepower.access import CHANGES_A_MINUTE, TOKEN, Access
from edgepower.control import Control
from edgepower.live import Live
from edgepower.management import MAX_BODY, Management, redacted
from edgepower.source import EdgeSource
from support.edge_exporter import READING, FakeDevice, ask, ask_json, config_of
from support.processes import until

DOCUMENT = """\
device_type: jetson_orin
shelly:
  host: 192.0.2.7
  password: hunter2
metrics:
  power_total_watts: true
  power_gpu_watts: false
  jetson_temp_gpu_celsius: false
  jetson_gpu_usage_percent: false
"""


class Managed:
    """An API over a fake device; ``port`` is where it answers."""

    def __init__(self, folder: Path, token: str = "", text: str = DOCUMENT) -> None:
        self.config = config_of(folder, text)
        self.live = Live("edge-01")
        self.restarts = 0
        self.control = Control(self.config, None, self.restarted)
        self.device = FakeDevice()
        self.source = EdgeSource(self.device, self.live, self.control.found, 1.0)
        routes = Management(self.config, self.live, self.control).routes()
        guard = Access(token).check
        self.server = HttpServer(
            "127.0.0.1", 0, routes, name="edgepower", change="move it", guard=guard, max_body=MAX_BODY
        )
        self.port = self.server.port
        self.control.start()
        self.server.start()

    def restarted(self) -> None:
        self.restarts += 1

    def close(self) -> None:
        self.server.close()
        self.control.close()


@pytest.fixture
def manage(tmp_path: Path) -> Iterator[Callable[..., Managed]]:
    made: list[Managed] = []

    def _manage(token: str = "", text: str = DOCUMENT) -> Managed:
        made.append(Managed(tmp_path, token, text))
        return made[-1]

    yield _manage
    for each in made:
        each.close()


Manage = Callable[..., Managed]


def test_list_has_the_seeds_form(manage: Manage) -> None:
    managed = manage()
    status, found = ask_json(managed.port, "GET", "/metrics/list")
    assert (status, found) == (
        200,
        {
            "metrics": {**dict.fromkeys(READING, False), "power_total_watts": True},
            "device_type": "jetson_orin",
            "source": "local",
        },
    )


def test_enable_has_the_seeds_form_and_is_in_the_file_before_it_is_answered(manage: Manage) -> None:
    managed = manage()
    chosen = {"jetson_gpu_usage_percent": True, "power_total_watts": False}
    status, found = ask_json(managed.port, "POST", "/metrics/enable", chosen, **{"Content-Type": "application/json"})
    assert (status, found) == (200, {"status": "success", "updated": 2, "metrics": chosen})
    assert "jetson_gpu_usage_percent: true" in managed.config.path.read_text()
    assert ask_json(managed.port, "GET", "/metrics/list")[1]["metrics"]["power_total_watts"] is False


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "found no JSON"),
        (b"{", 400, "found no JSON"),
        (b"\xff", 400, "found no JSON"),
        (b"[" * 50_000, 400, "found no JSON"),
        (b"[]", 400, "expected an object"),
        (b"{}", 400, "at least one"),
        (b'{"power_total_watts": 1}', 400, "power_total_watts: found 1, expected true or false"),
        (b'{"power_total_watts": "yes"}', 400, "expected true or false"),
        (json.dumps({f"m{n}": True for n in range(1001)}).encode(), 400, "found 1001 metrics, expected at most 1000"),
        (b" " * (MAX_BODY + 1), 413, f"expected at most {MAX_BODY}"),
        (b'{"power_total_watts": false, "power_total_wats": true}', 404, "did you mean power_total_watts"),
    ],
    ids=["empty", "torn", "binary", "nested", "list", "nobody", "number", "text", "many", "large", "unknown"],
)
def test_a_bad_request_changes_nothing_and_says_what_was_expected(
    body: bytes, status: int, words: str, manage: Manage
) -> None:
    managed = manage()
    found, headers, answer = ask(managed.port, "POST", "/metrics/enable", body)
    assert (found, headers["content-type"]) == (status, "application/json")
    assert words in json.loads(answer)["error"]
    assert managed.config.path.read_text() == DOCUMENT
    assert ask_json(managed.port, "GET", "/metrics/list")[0] == 200


def test_unknown_names_come_with_the_near_ones(manage: Manage) -> None:
    status, found = ask_json(manage().port, "POST", "/metrics/enable", {"power_totl_watts": True, "qqq": False})
    assert status == 404
    assert found["unknown"]["power_totl_watts"][0] == "power_total_watts" and found["unknown"]["qqq"] == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: -1\r\n", b"400"),
        (b"Content-Length: x\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n", b"411"),
        (b"Content-Length: 99999999999999999999\r\n", b"413"),
        (b"Content-Length: 50\r\n", b"400"),
    ],
    ids=["negative", "no number", "chunked", "huge", "shorter than said"],
)
def test_a_body_of_doubtful_length_is_not_waited_for(head: bytes, status: bytes, manage: Manage) -> None:
    managed = manage()
    with socket.create_connection(("127.0.0.1", managed.port), timeout=30) as link:
        link.sendall(b"POST /metrics/enable HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n{}")
        link.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    assert answer.split()[1] == status
    assert answer.count(b"HTTP/1.1") == 1  # the body is not taken for a second request


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/reload", "POST"),
        ("GET", "/metrics/enable", "POST"),
        ("POST", "/metrics/list", "GET, HEAD"),
        ("DELETE", "/config", "GET, HEAD"),
        ("PUT", "/reload", "POST"),
    ],
)
def test_other_methods_are_405_and_say_which_are_allowed(method: str, path: str, allow: str, manage: Manage) -> None:
    status, headers, answer = ask(manage().port, method, path, b"x" * 10)
    assert (status, headers["allow"]) == (405, allow)
    assert json.loads(answer)["error"]


@pytest.mark.parametrize("path", ["/", "/metrics", "/config/../health", "/reload/"])
def test_other_paths_are_404_in_json(path: str, manage: Manage) -> None:
    status, found = ask_json(manage().port, "GET", path)
    assert status == 404 and "/metrics/list" in found["error"]


def test_reload_answers_text_or_json_and_takes_the_file_over(manage: Manage) -> None:
    managed = manage()
    managed.config.path.write_text(DOCUMENT.replace("gpu_watts: false", "gpu_watts: true"))
    status, headers, body = ask(managed.port, "POST", "/reload")
    assert (status, body) == (200, b"Config reload triggered")
    assert headers["content-type"].startswith("text/plain")
    until(lambda: managed.config.metrics["power_gpu_watts"])
    assert managed.restarts == 0
    status, found = ask_json(managed.port, "POST", "/reload", Accept="application/json")
    assert (status, found) == (200, {"status": "reload_triggered", "source": "local", "metrics_count": 4})


def test_a_reload_that_changes_the_device_begins_anew_once(manage: Manage) -> None:
    managed = manage()
    managed.config.path.write_text(DOCUMENT + "interval: 0.5\n")
    for _ in range(5):
        ask(managed.port, "POST", "/reload")
    until(lambda: managed.restarts)
    assert (managed.restarts, managed.config.settings.interval_s) == (1, 0.5)


def test_an_error_in_the_file_is_in_health_until_it_is_mended_and_the_last_good_stays(manage: Manage) -> None:
    managed = manage()
    managed.source.sample()
    managed.config.path.write_text(DOCUMENT + "interval: quick\n")
    ask(managed.port, "POST", "/reload")
    until(lambda: ask_json(managed.port, "GET", "/health")[1]["last_error"])
    status, health = ask_json(managed.port, "GET", "/health")
    assert (status, health["status"]) == (200, "degraded")
    assert 'line 10: interval: found "quick", expected a number' in health["last_error"]
    assert ask_json(managed.port, "GET", "/config")[1]["interval"] == 1.0
    status, refused = ask_json(managed.port, "POST", "/metrics/enable", {"power_gpu_watts": True})
    assert status == 500 and "line 10" in refused["error"]
    managed.config.path.write_text(DOCUMENT)
    ask(managed.port, "POST", "/reload")
    until(lambda: ask_json(managed.port, "GET", "/health")[1]["status"] == "healthy")
    assert ask_json(managed.port, "GET", "/health")[1]["last_error"] is None


def test_health_has_the_fields_of_both_descriptions(manage: Manage) -> None:
    managed = manage()
    assert ask_json(managed.port, "GET", "/health")[1]["status"] == "starting"
    managed.source.sample()
    status, found = ask_json(managed.port, "GET", "/health")
    assert status == 200
    assert found.keys() >= {"status", "device_id", "device_type", "uptime_seconds", "last_collection", "last_error"}
    assert (found["status"], found["device_id"], found["device_type"]) == ("healthy", "edge-01", "jetson_orin")
    assert (found["metrics_count"], found["enabled_metrics"]) == (4, 1)
    assert (found["collector"], found["config_source"]) == ("up", "local")
    assert found["last_collection"].endswith("Z")
    managed.device.error = Absent("tegrastats not found", "run it on a Jetson")
    with pytest.raises(Absent):
        managed.source.sample()
    status, found = ask_json(managed.port, "GET", "/health")
    why = "tegrastats not found (run it on a Jetson)"
    assert (status, found["status"], found["last_error"]) == (200, "degraded", why)
    assert found["devices"] == [{"device_type": "jetson_orin", "state": "down", "reason": why}]


def test_health_tells_what_each_power_covers(manage: Manage) -> None:
    managed = manage()
    managed.device.scopes = {"power_total_watts": "module", "power_gpu_watts": "gpu"}
    managed.source.sample()
    (device,) = ask_json(managed.port, "GET", "/health")[1]["devices"]
    assert device["scopes"] == {"power_total_watts": "module", "power_gpu_watts": "gpu"}


def test_config_is_whole_but_for_its_secrets(manage: Manage) -> None:
    status, found = ask_json(manage().port, "GET", "/config")
    assert status == 200
    assert found["shelly"] == {"host": "192.0.2.7", "password": "***"}
    assert (found["interval"], found["port"], found["metrics"]["power_total_watts"]) == (1.0, 9100, True)


def test_secrets_are_redacted_wherever_they_stand() -> None:
    found = redacted(
        {
            "a": [{"Api_Key": "k", "auth": {"user": "u"}}],
            "url": "http://me:pw@host/x",
            "metrics": {"bypass_watts": True},
        }
    )
    assert found == {
        "a": [{"Api_Key": "***", "auth": "***"}],
        "url": "http://***@host/x",
        "metrics": {"bypass_watts": True},
    }


def test_new_metrics_are_found_and_written_while_it_runs(manage: Manage) -> None:
    managed = manage(text="device_type: jetson_orin\nmetrics:\n  power_total_watts: true\n")
    managed.source.sample()
    until(lambda: "power_gpu_watts: false" in managed.config.path.read_text())
    assert ask_json(managed.port, "GET", "/metrics/list")[1]["metrics"]["power_gpu_watts"] is False


def test_two_clients_at_once_lose_nothing(manage: Manage) -> None:
    managed = manage()
    names = ["power_gpu_watts", "jetson_temp_gpu_celsius", "jetson_gpu_usage_percent"]
    answers: list[int] = []

    def turn_on_and_off(name: str) -> None:
        for value in (True, False) * 4 + (True,):
            answers.append(ask_json(managed.port, "POST", "/metrics/enable", {name: value})[0])

    clients = [threading.Thread(target=turn_on_and_off, args=(name,)) for name in names]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == [200] * 27
    assert ask_json(managed.port, "GET", "/metrics/list")[1]["metrics"] == dict.fromkeys(READING, True)
    assert managed.config.path.read_text() == DOCUMENT.replace("false", "true")


def test_with_a_token_only_its_bearer_may_change_or_read_the_configuration(manage: Manage) -> None:
    managed = manage(token="s3cret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}, {"Authorization": "ß"}):
        for method, path in (("POST", "/reload"), ("POST", "/metrics/enable"), ("GET", "/config")):
            encoded = {name: value.encode("utf-8").decode("latin-1") for name, value in headers.items()}
            status, answered, _ = ask(managed.port, method, path, b"{}" if method == "POST" else None, encoded)
            assert (status, answered["www-authenticate"]) == (401, "Bearer")
    bearer = {"Authorization": "Bearer s3cret"}
    assert ask(managed.port, "POST", "/reload", headers=bearer)[0] == 200
    assert ask(managed.port, "GET", "/config", headers=bearer)[0] == 200
    assert ask(managed.port, "GET", "/health")[0] == ask(managed.port, "GET", "/metrics/list")[0] == 200


def test_a_web_page_may_not_change_anything(manage: Manage) -> None:
    status, found = ask_json(manage().port, "POST", "/reload", Origin="http://evil.example")
    assert status == 403 and found["error"]


def test_who_asks_for_changes_too_often_is_told_to_wait(manage: Manage) -> None:
    managed = manage()
    answers = [ask(managed.port, "POST", "/metrics/enable", b"x") for _ in range(CHANGES_A_MINUTE + 40)]
    assert {status for status, _, _ in answers} == {400, 429}
    refused = next(answer for answer in answers if answer[0] == 429)
    assert refused[1]["retry-after"] == "1" and json.loads(refused[2])["error"]
    assert ask(managed.port, "GET", "/health")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "edge-01"])
def test_another_address_than_loopback_needs_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(Fault, match=rf"management_bind: found {host}.*EDGEPOWER_TOKEN.*token_file") as caught:
        TOKEN.token_of(host, "", env={})
    assert caught.value.code is Exit.CONFIG
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o640)
    assert TOKEN.token_of(host, str(file), env={}) == "s3cret"
    assert TOKEN.token_of(host, "", env={"EDGEPOWER_TOKEN": "other"}) == "other"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert TOKEN.token_of(host, "", env={}) == ""


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [(b"s3cret", 0o644, "everybody may read"), (b"\n", 0o600, "found nothing"), (b"\xff", 0o600, "no text")],
)
def test_a_token_file_that_is_unfit_is_named(content: bytes, mode: int, words: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(Fault, match=f"{file}.*{words}"):
        TOKEN.token_of("127.0.0.1", str(file), env={})
    with pytest.raises(Fault, match=r"missing.*cannot be read"):
        TOKEN.token_of("127.0.0.1", str(tmp_path / "missing"), env={})
