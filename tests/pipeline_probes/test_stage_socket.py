"""The socket: who may listen, what is replaced, and what becomes of datagrams."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from benchlab import clock
from benchlab.clock import SessionClock
from benchlab.daemon import Reading
from benchlab.errors import Exit, Fault
from benchlab.stages import MAX_DATAGRAM, default_socket, is_trusted, sockets
from pipeline_probes.datagrams.stage_socket import Datagram, StageSocket
from pipeline_probes.datagrams.stage_source import StageSource
from support.stage_programs import Inbox

Listen = Callable[[], Inbox]


def sender(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.connect(path)
    return sock


def test_socket_of_a_killed_collector_is_replaced(path: str, listen: Listen) -> None:
    code = f"import socket, os; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind({path!r}); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert stat.S_ISSOCK(Path(path).stat().st_mode)
    inbox = listen()
    sender(path).send(b'{"stage":"a"}')
    assert [reading.kv for reading in inbox.until(1)] == [{"stage": "a"}]


def test_second_collector_is_told_who_listens(path: str, listen: Listen) -> None:
    listen()
    with pytest.raises(Fault, match=rf"pipeline_probes, which listens on {path} \(pid {os.getpid()}\)") as caught:
        StageSocket(path, wait_s=0)
    assert caught.value.code == Exit.IO
    sender(path).send(b"x")  # the first one still listens


def test_socket_that_another_program_listens_on_is_left_alone(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        with pytest.raises(Fault, match="found another program that listens there"):
            StageSocket(path)
        sender(path).send(b"x")
        assert other.recv(10) == b"x"


def test_file_that_is_no_socket_is_left_alone(path: str) -> None:
    Path(path).write_text("precious")
    with pytest.raises(Fault, match="found a file that is no socket"):
        StageSocket(path)
    assert Path(path).read_text() == "precious"


@pytest.mark.parametrize(
    ("where", "said"),
    [("/tmp/" + "x" * 103, "found a path of 108 bytes"), ("/no/such/folder/s", "found no folder /no/such/folder")],
)
def test_place_where_nobody_can_listen_is_refused_in_one_sentence(where: str, said: str) -> None:
    with pytest.raises(Fault, match=said):
        StageSocket(where)


def test_users_of_the_group_may_send_and_others_may_not(path: str, listen: Listen) -> None:
    before = os.umask(0o077)
    try:
        listen()
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o660


def test_line_without_a_time_has_the_time_at_which_it_was_sent(path: str, listen: Listen) -> None:
    inbox = listen()
    before_ns = inbox.clock.now_ns()
    sender(path).send(b'{"stage":"a"}')
    after_ns = inbox.clock.now_ns()
    time.sleep(0.2)  # it is not the time at which it was received
    (reading,) = inbox.until(1)
    assert reading.ts_ns is not None and reading.unc_ns is not None
    slack_ns = reading.unc_ns + 1_000_000  # the wall clock may be disciplined meanwhile
    assert before_ns - slack_ns <= reading.ts_ns <= after_ns + slack_ns


def test_datagram_that_is_too_long_gives_its_whole_lines_and_is_told(path: str, listen: Listen) -> None:
    inbox = listen()
    line = b'{"stage":"a"}\n'
    count = MAX_DATAGRAM // len(line)
    sender(path).send(line * (count + 2))
    assert len(inbox.until(count)) == count
    inbox.rest()
    ((gap),) = inbox.gaps
    assert f"more than {MAX_DATAGRAM} bytes" in gap["detail"]
    assert gap["sender"] == f"pid {os.getpid()}"


def test_what_was_sent_before_the_end_is_taken_in_and_later_senders_are_refused(path: str, listen: Listen) -> None:
    inbox = listen()
    sock = sender(path)
    for frame in range(5):
        sock.send(b'{"stage":"a","frame":%d}' % frame)
    inbox.source.shut()
    with pytest.raises(BrokenPipeError):
        sock.send(b'{"stage":"a","frame":5}')
    inbox.readings += inbox.source.sample()
    assert inbox.frames() == [0, 1, 2, 3, 4]


def test_lines_of_several_senders_that_came_together_are_in_order_of_time(path: str, listen: Listen) -> None:
    inbox = listen()
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    for age_ms in (1, 3, 2):
        line = f'{{"stage":"a","frame":{age_ms},"boottime_ns":{now_ns - age_ms * 10**6}}}'
        sender(path).send(line.encode())
    inbox.until(3)
    assert inbox.frames() == [3, 2, 1]


class Refilled:
    """Stands for a socket whose queue fills again whenever it was emptied."""

    def __init__(self, *queues: list[bytes]) -> None:
        self._queues = [*queues]
        self._queue: list[bytes] = []

    def wait(self, timeout_ms: int) -> bool:
        self._queue = self._queues.pop(0) if self._queues else []
        return bool(self._queue)

    def receive(self) -> Datagram | None:
        return Datagram(self._queue.pop(0), time.time_ns(), 1, cut=False) if self._queue else None


def test_after_a_standstill_old_lines_that_are_still_under_way_are_awaited(inbox_clock: SessionClock) -> None:
    def lines(*ages_ms: int) -> list[bytes]:
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        template = '{"stage":"a","frame":%d,"boottime_ns":%d}'
        return [(template % (age_ms, now_ns - age_ms * 10**6)).encode() for age_ms in ages_ms]

    socket_ = cast(StageSocket, Refilled(lines(900, 500), lines(800), lines(700, 0), lines(0), lines(600)))
    source = StageSource(socket_, inbox_clock, 0)
    assert [reading.kv["frame"] for reading in stages_in(source.sample())] == [900, 800, 700, 500, 0, 0]
    assert [reading.kv["frame"] for reading in stages_in(source.sample())] == [600]


@pytest.fixture
def inbox_clock() -> SessionClock:
    return SessionClock(clock.wall_ns() - clock.boottime_ns())


def stages_in(readings: list[Reading]) -> list[Reading]:
    return [reading for reading in readings if reading.source is None]


def test_collector_and_programs_find_each_other_without_being_told(tmp_path: Path) -> None:
    own = tmp_path / "xdg"
    system = tmp_path / "system" / "stage.sock"
    own.mkdir()
    env = {"XDG_RUNTIME_DIR": str(own)}
    assert default_socket(env, str(system)) == f"{own}/benchlab-stage.sock"
    system.parent.mkdir()
    assert default_socket(env, str(system)) == str(system)
    looked = sockets(env, str(system))
    assert looked.index(f"{own}/benchlab-stage.sock") < looked.index(str(system)) == len(looked) - 1
    assert default_socket({}, "/no/such/folder/s") in sockets({}, "/no/such/folder/s")
    assert sockets({"BENCHLAB_STAGE_SOCKET": "/a", **env}) == ["/a"]
    assert sockets({"BENCHLAB_STAGE_SOCKET": "/a", "BENCHLAB_PIPELINE_STAGE_SOCKET": "/b"}) == ["/b"]


def test_socket_that_a_stranger_put_into_a_common_folder_is_not_trusted(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make files of a stranger")
    common = tmp_path / "common"
    common.mkdir()
    common.chmod(0o1777)
    for name, owner in (("mine", 0), ("strange", 12345)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(common / name))
        os.chown(common / name, owner, -1)
    assert is_trusted(str(common / "mine"))
    assert not is_trusted(str(common / "strange"))
    common.chmod(0o755)
    assert is_trusted(str(common / "strange"))
