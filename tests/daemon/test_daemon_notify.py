"""The service manager's side is a real datagram socket, as systemd's is."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchlab.daemon import Reading
from benchlab.daemon.notify import Notifier
from support.running_daemon import Running

Begin = Callable[..., Running]


class Quiet:
    name = "test.quiet"

    def sample(self) -> list[Reading]:
        return []


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10.0)
        yield listener


def test_ready_watchdog_and_stopping_in_this_order(begin: Begin, manager: socket.socket) -> None:
    env = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1000000"}
    daemon = begin(Quiet(), env=env)
    assert manager.recv(100) == b"READY=1"
    assert manager.recv(100) == b"WATCHDOG=1"
    assert manager.recv(100) == b"WATCHDOG=1"
    daemon.stop.set()
    while (message := manager.recv(100)) == b"WATCHDOG=1":
        pass
    assert message == b"STOPPING=1"


def test_an_end_after_which_the_program_goes_on_is_no_end_to_the_manager(begin: Begin, manager: socket.socket) -> None:
    env = {"NOTIFY_SOCKET": manager.getsockname()}
    begin(Quiet(), env=env, goes_on=lambda: True).end()
    begin(Quiet(), env=env, goes_on=lambda: False).end()
    assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"READY=1", b"STOPPING=1"]


class Telling(Quiet):
    told = "well"

    def status(self) -> str:
        return self.told


def test_status_of_a_source_is_told_when_it_changes_and_only_then(begin: Begin, manager: socket.socket) -> None:
    source = Telling()
    daemon = begin(Quiet(), source, env={"NOTIFY_SOCKET": manager.getsockname()})
    assert [manager.recv(100) for _ in range(2)] == [b"READY=1", b"STATUS=well"]
    daemon.until(lambda: daemon.metas("alive"))
    source.told = "badly"
    assert manager.recv(100) == b"STATUS=badly"
    daemon.stop.set()
    assert manager.recv(100) == b"STOPPING=1"


def test_no_watchdog_where_none_is_asked_for(begin: Begin, manager: socket.socket) -> None:
    daemon = begin(Quiet(), env={"NOTIFY_SOCKET": manager.getsockname()})
    assert manager.recv(100) == b"READY=1"
    daemon.until(lambda: daemon.metas("alive"))
    daemon.stop.set()
    assert manager.recv(100) == b"STOPPING=1"


def test_abstract_socket_is_found_by_its_at_sign() -> None:
    name = f"benchlab-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(10.0)
        notifier = Notifier({"NOTIFY_SOCKET": "@" + name})
        notifier.send("READY=1")
        assert listener.recv(100) == b"READY=1"
        notifier.close()


def test_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.send("READY=1")
    notifier.close()


@pytest.mark.parametrize(
    ("env", "expected_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_is_due_twice_as_often_as_asked(env: dict[str, str], expected_s: float | None) -> None:
    assert Notifier(env).watchdog_s == expected_s


def test_work_that_says_all_the_time_that_it_goes_on_is_heard_as_often_as_is_asked_for(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "3600000000"})
    for _ in range(100):
        notifier.alive()
    notifier.send("STOPPING=1")
    assert [manager.recv(100), manager.recv(100)] == [b"WATCHDOG=1", b"STOPPING=1"]
    notifier.close()


def test_work_says_nothing_where_no_watchdog_asks(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})
    notifier.alive()
    notifier.send("STOPPING=1")
    assert manager.recv(100) == b"STOPPING=1"
    notifier.close()
