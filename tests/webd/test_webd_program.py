"""webd as a program: its command line, its end, and what it says when it cannot begin."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.cx_sessions import PAIR, START_NS, Recording, frame, steady
from support.processes import Start, until
from support.web_viewers import Webd, recorded

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_port_that_is_taken_is_one_line_with_its_owner_and_the_key_that_moves_it(tmp_path: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("webd", "--bind", bind, "--data-root", str(tmp_path))
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert f"{bind} is taken by " in line
    assert f"(pid {os.getpid()})" in line
    assert "[web].bind or --bind" in line


@pytest.mark.parametrize(
    ("words", "env", "code", "said"),
    [
        (["--bind", "0.0.0.0:0"], {}, 3, "BENCHLAB_WEB_TOKEN"),
        (["--bind", "nonsense"], {}, 2, "HOST:PORT"),
        (["--bind", "127.0.0.1:70000"], {}, 2, "HOST:PORT with a port"),
        (["--static-dir", "/nowhere"], {}, 3, "[web].static_dir: found /nowhere"),
        ([], {"BENCHLAB_WEB_OK_MS": "-1"}, 3, "BENCHLAB_WEB_OK_MS"),
        ([], {"BENCHLAB_WEB_TOKENS": "x"}, 3, "BENCHLAB_WEB_TOKENS"),
        (["--bind", "203.0.113.7:0"], {"BENCHLAB_WEB_TOKEN": "t"}, 5, "203.0.113.7:0 cannot be served"),
    ],
)
def test_what_keeps_it_from_beginning_is_one_line(
    words: list[str], env: dict[str, str], code: int, said: str, tmp_path: Path, run: Run
) -> None:
    done = run("webd", "--data-root", str(tmp_path), *words, **env)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert said in line


def test_service_manager_is_told_when_it_answers_and_when_it_ends(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        webd = Webd(start, tmp_path, NOTIFY_SOCKET=str(path), WATCHDOG_USEC="10000000")
        told = {manager.recv(100)}
        while b"WATCHDOG=1" not in told or b"READY=1" not in told:
            told.add(manager.recv(100))
        assert webd.stop() == 0
        while b"STOPPING=1" not in told:
            told.add(manager.recv(100))


def test_interruption_ends_it_well(tmp_path: Path, start: Start) -> None:
    webd = Webd(start, tmp_path)
    webd.process.send_signal(2)
    webd.process.communicate(timeout=30)
    assert webd.process.returncode == 0


def test_session_of_the_environment_is_shown(tmp_path: Path, start: Start) -> None:
    Recording(tmp_path, "a").aligned([frame(START_NS, 1.0)])
    Recording(tmp_path, "b").aligned([frame(START_NS, 2.0)])
    webd = Webd(start, tmp_path, BENCHLAB_SESSION="b")
    assert webd.json("/api/live") == {"rows": [{"t": 0.0, "lat_ms": 2.0, "power_w": None}]}


def test_notes_that_come_at_once_are_all_written_whole(tmp_path: Path, start: Start) -> None:
    folder = Recording(tmp_path, "dev").dir
    webds = [Webd(start, tmp_path), Webd(start, tmp_path)]
    texts = [f"{i} " + "x" * 3000 for i in range(60)]

    def post(i: int) -> int:
        return webds[i % 2].ask("/api/sessions/dev/notes", "POST", {"text": texts[i]})[0]

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(post, range(60))) == [201] * 60
    lines = [json.loads(line)["text"] for line in (folder / "notes.jsonl").read_text().splitlines()]
    assert sorted(lines) == sorted(texts)


def test_raw_bytes_that_are_no_request_harm_nobody(tmp_path: Path, start: Start) -> None:
    Recording(tmp_path, "dev").aligned(steady(3))
    webd = Webd(start, tmp_path, "--session", "dev")
    for said in (
        b"\0\xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/live HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
    ):
        with socket.create_connection(("127.0.0.1", webd.port), timeout=30) as client:
            client.sendall(said)
            try:
                client.recv(4096)
            except ConnectionResetError:
                pass
    assert len(webd.json("/api/live")["rows"]) == 3


def test_hundred_viewers_of_one_session_have_one_tail(tmp_path: Path, start: Start) -> None:
    folder = Recording(tmp_path, "dev")
    folder.describe(closed=False)
    path = folder.aligned(steady(3))
    webd = Webd(start, tmp_path, "--session", "dev")
    clients = [socket.create_connection(("127.0.0.1", webd.port), timeout=30) for _ in range(100)]
    try:
        for client in clients:
            client.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for client in clients:
            said = b""
            while b"event: frames" not in said:
                said += client.recv(65536)
        tails = [fd for fd in Path(f"/proc/{webd.process.pid}/fd").iterdir() if _leads_to(fd, path)]
        assert len(tails) == 1
    finally:
        for client in clients:
            client.close()
    until(lambda: webd.answers())
    assert recorded(folder.dir, PAIR)


def _leads_to(fd: Path, path: Path) -> bool:
    try:
        return fd.readlink() == path
    except OSError:
        return False
