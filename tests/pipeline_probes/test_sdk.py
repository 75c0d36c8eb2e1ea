"""The SDK in the program that is measured: nothing it does fails or waits, and all is delivered or counted."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import benchlab
from benchlab import sdk
from benchlab.sdk import MAX_WAITING, PACK_BYTES, Sender
from support.stage_programs import Inbox, finished, program
from support.tree import program_env

Listen = Callable[[], Inbox]

SEND = """
import sys, benchlab
for frame in range(int(sys.argv[1])):
    benchlab.stage("ingress", frame=frame, flow=sys.argv[2])
"""


@pytest.fixture
def sender(path: str) -> Sender:
    return Sender(lambda: [path])


def frames(sender: Sender, *numbers: int) -> None:
    for number in numbers:
        sender.emit(f'"stage":"a","frame":{number}')


def until(condition: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_s, "waited in vain"
        time.sleep(0.01)


def test_stages_and_bookmarks_arrive_as_they_were_called(path: str, listen: Listen) -> None:
    inbox = listen()
    code = """
import benchlab, time
benchlab.stage("ingress")
benchlab.stage("ingress", 17, 283, "left")
benchlab.stage("encodé \\"x\\"", frame="17a", flow="\\u00e9")
benchlab.stage("late", monotonic_ns=time.monotonic_ns() - 60 * 10**9)
benchlab.bookmark("retina\\nstart")
"""
    finished(program(code, path))
    readings = inbox.until(5)
    assert [(reading.source, reading.kv) for reading in readings] == [
        (None, {"stage": "late"}),
        (None, {"stage": "ingress"}),
        (None, {"stage": "ingress", "frame": 17, "pts_ns": 283, "flow": "left"}),
        (None, {"stage": 'encodé "x"', "frame": "17a", "flow": "é"}),
        ("bookmark", {"text": "retina\nstart"}),
    ]
    times = [reading.ts_ns or 0 for reading in readings]
    assert 30 * 10**9 < times[1] - times[0] < 60 * 10**9
    assert times == sorted(times)


def test_many_calls_in_a_row_arrive_whole_and_in_order(path: str, listen: Listen) -> None:
    inbox = listen()
    process = program(SEND + "sys.stdin.read()", path, 200_000, "x")
    inbox.until(200_000)
    finished(process)
    came = inbox.frames()
    assert came == sorted(set(came))
    assert len(came) + inbox.lost == 200_000


def test_many_programs_at_once_are_told_apart(path: str, listen: Listen) -> None:
    inbox = listen()
    running = [program(SEND + "sys.stdin.read()", path, 5_000, name) for name in "abcdefgh"]
    inbox.until(8 * 5_000)
    for process in running:
        finished(process)
    assert inbox.lost == 0
    for name in "abcdefgh":
        assert [r.kv["frame"] for r in inbox.stages if r.kv["flow"] == name] == list(range(5_000))


def test_lines_that_no_call_follows_are_sent_all_the_same(sender: Sender, listen: Listen) -> None:
    inbox = listen()
    frames(sender, 0, 1, 2, 3)
    inbox.until(4)
    assert inbox.frames() == [0, 1, 2, 3]


def test_without_a_collector_calls_do_nothing_and_stages_flow_once_there_is_one(sender: Sender, listen: Listen) -> None:
    frames(sender, *range(100))
    inbox = listen()
    numbers = iter(range(100, 10**6))

    def arrived() -> bool:
        frames(sender, next(numbers))
        inbox.readings += inbox.source.sample() if inbox.socket.wait(10) else []
        return bool(inbox.stages)

    until(arrived)
    assert min(inbox.frames()) >= 100
    assert inbox.gaps == []  # nobody was recording what was lost


def test_what_is_lost_between_two_collectors_is_known_to_the_second(sender: Sender, path: str) -> None:
    first = Inbox(path)
    frames(sender, *range(10))
    first.until(10)
    first.rest()
    first.close()
    sent = 10
    second: Inbox | None = None
    give_up_s = time.monotonic() + 60
    while second is None or not second.stages:
        assert time.monotonic() < give_up_s
        frames(sender, sent)
        sent += 1
        if sent == 500:
            second = Inbox(path, since_ns=0)
        if second is not None and second.socket.wait(5):
            second.readings += second.source.sample()
    frames(sender, sent)
    second.until(sent + 1 - 10)
    assert second.frames()[-1] == sent
    assert len(first.stages) + len(second.stages) + second.lost == sent + 1
    second.close()


def test_slow_collector_costs_the_oldest_and_their_number_is_known(sender: Sender, path: str, listen: Listen) -> None:
    inbox = listen()
    count = 3 * MAX_WAITING * PACK_BYTES // 60  # three times what is kept
    frames(sender, *range(count))
    inbox.until(count)
    came = inbox.frames()
    assert inbox.lost > 0
    assert len(came) + inbox.lost == count
    assert came == sorted(set(came))
    assert came[-1] == count - 1


def test_memory_for_a_collector_that_stands_still_is_bounded(sender: Sender, path: str, listen: Listen) -> None:
    listen()
    for _ in range(20):
        frames(sender, *range(20_000))
        assert len(sender._packed) <= MAX_WAITING + 1
        assert sender._open_size < PACK_BYTES + 100


def test_last_lines_of_a_program_that_were_lost_are_told_at_its_end(path: str) -> None:
    first = Inbox(path)
    code = """
import sys, benchlab
benchlab.stage("a", frame=0)
print("sent", flush=True)
sys.stdin.readline()
for frame in range(1, 8): benchlab.stage("a", frame=frame)
print("lost", flush=True)
sys.stdin.readline()
"""
    process = program(code, path)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "sent\n"
    first.until(1)
    first.close()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "lost\n"
    second = Inbox(path, since_ns=0)
    finished(process)
    second.until(7)
    assert (second.stages, second.lost) == ([], 7)
    second.close()


def test_short_program_delivers_before_it_ends(path: str, listen: Listen) -> None:
    inbox = listen()
    for _ in range(3):  # nine datagrams at most: they find room in the kernel, though nobody reads yet
        finished(program(SEND, path, 3, "x"))
    inbox.rest()
    assert len(inbox.stages) == 9


@pytest.mark.parametrize("how", ["fork", "multiprocessing fork", "multiprocessing spawn"])
def test_children_count_for_themselves_and_send_nothing_twice(
    how: str, path: str, listen: Listen, tmp_path: Path
) -> None:
    inbox = listen()
    script = tmp_path / "forks.py"
    script.write_text(
        """
import multiprocessing, os, sys
import benchlab

def child(number):
    for frame in range(50):
        benchlab.stage("child", frame=1000 * number + frame)

if __name__ == "__main__":
    how = sys.argv[1].split()
    for frame in range(50):
        benchlab.stage("parent", frame=frame)
    if how[0] == "fork":
        for number in (1, 2):
            if os.fork() == 0:
                child(number)
                sys.exit(0)
        os.wait(), os.wait()
    else:
        context = multiprocessing.get_context(how[1])
        children = [context.Process(target=child, args=(number,)) for number in (1, 2)]
        [one.start() for one in children]
        [one.join() for one in children]
    for frame in range(50, 100):
        benchlab.stage("parent", frame=frame)
"""
    )
    inbox.while_runs(program(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", path, how))
    assert sorted(inbox.frames("parent")) == list(range(100))
    assert sorted(inbox.frames("child")) == [*range(1000, 1050), *range(2000, 2050)]
    assert inbox.gaps == []


def test_threads_share_one_count(sender: Sender, listen: Listen) -> None:
    inbox = listen()
    threads = [threading.Thread(target=frames, args=(sender, *range(n * 1000, n * 1000 + 1000))) for n in range(4)]
    for thread in threads:
        thread.start()
    inbox.until(4000)
    for thread in threads:
        thread.join()
    assert sorted(inbox.frames()) == list(range(4000))
    assert inbox.lost == 0


def test_signal_handler_may_call_in_the_middle_of_a_call(path: str, listen: Listen) -> None:
    inbox = listen()
    code = """
import benchlab, signal
handled = 0
def handler(number, frame):
    global handled
    handled += 1
    benchlab.stage("handler")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for frame in range(30_000):
    benchlab.stage("loop", frame=frame)
signal.setitimer(signal.ITIMER_REAL, 0)
print(handled)
"""
    handled = int(inbox.while_runs(program(code, path)))
    assert handled > 0
    assert len([reading for reading in inbox.stages if reading.kv["stage"] == "loop"]) + inbox.lost >= 30_000


class Whole:
    """A number of another library."""

    def __index__(self) -> int:
        return 5


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((17,), TypeError, "stage: found 17, expected text"),
        ((["a"],), TypeError, "stage: found ['a'], expected text"),
        (("",), ValueError, "stage: found '', expected 1 to 128 printable characters"),
        (("x" * 129,), ValueError, "expected 1 to 128 printable characters"),
        (("a\nb",), ValueError, "stage: found 'a\\nb'"),
        (("\ud800",), ValueError, "stage: found"),
        (("a", 1.5), TypeError, "frame: found 1.5, expected a whole number"),
        (("a", True), TypeError, "frame: found True, expected a whole number"),
        (("a", ""), ValueError, "frame: found ''"),
        (("a", 2**63), ValueError, "frame: found 9223372036854775808, expected a number of 64 bits"),
        (("a", 1, "2"), TypeError, "pts_ns: found '2'"),
        (("a", 1, 2, 3), TypeError, "flow: found 3, expected text"),
        (("a", 1, 2, "f", 0.5), TypeError, "monotonic_ns: found 0.5"),
    ],
)
def test_what_cannot_be_a_stage_is_refused_by_name_and_not_counted(
    arguments: tuple[Any, ...], error: type[Exception], said: str, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "_sender", sender)
    with pytest.raises(error) as caught:
        benchlab.stage(*arguments)
    assert said in str(caught.value)
    assert sender._seq == 0


@pytest.mark.parametrize(
    ("text", "error"), [(5, TypeError), ("", ValueError), (" \n", ValueError), ("x" * 1025, ValueError)]
)
def test_what_cannot_be_a_bookmark_is_refused(text: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="bookmark: found"):
        benchlab.bookmark(text)


def test_numbers_of_other_libraries_are_numbers(
    sender: Sender, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = listen()
    monkeypatch.setattr(sdk, "_sender", sender)
    number: Any = Whole()
    benchlab.stage("a", frame=number)
    inbox.until(1)
    assert inbox.frames() == [5]


def test_longest_line_that_can_be_called_is_a_line(
    sender: Sender, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = listen()
    monkeypatch.setattr(sdk, "_sender", sender)
    wide = "\U0001f600" * 128
    benchlab.stage(wide, wide, -(2**63), wide, time.monotonic_ns())
    benchlab.bookmark('"' * 1024)
    inbox.until(2)
    assert inbox.gaps == []


def test_names_beyond_those_that_are_kept_are_sent_too(
    sender: Sender, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = listen()
    monkeypatch.setattr(sdk, "_sender", sender)
    monkeypatch.setattr(sdk, "_stages", {})
    monkeypatch.setattr(sdk, "_NAMES_KEPT", 2)
    for name in ("a", "b", "c", "c", "a"):
        benchlab.stage(name)
    inbox.until(5)
    assert [reading.kv["stage"] for reading in inbox.stages] == ["a", "b", "c", "c", "a"]
    assert set(sdk._stages) == {"a", "b"}


def test_socket_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / ("x" * 200), tmp_path):
        sender = Sender(partial(list, [str(path)]))
        frames(sender, 1, 2, 3)
        sender.close()


def test_stream_socket_in_its_place_is_no_error(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(path)
        other.listen()
        sender = Sender(lambda: [path])
        frames(sender, 1, 2, 3)
        sender.close()


def test_importing_benchlab_loads_nothing_and_the_sdk_only_the_standard_library() -> None:
    code = """
import sys, benchlab
assert "benchlab.sdk" not in sys.modules and "socket" not in sys.modules
benchlab.stage("a")
assert benchlab.stage is sys.modules["benchlab.sdk"].stage
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("benchlab", "msgspec", "asyncio", "logging")))
"""
    done = subprocess.run([sys.executable, "-c", code], env=program_env(), capture_output=True, text=True)
    assert done.stdout.split() == ["benchlab", "benchlab.sdk", "benchlab.stages"], done.stderr


def test_name_that_benchlab_does_not_have_is_an_error() -> None:
    with pytest.raises(AttributeError, match="'benchlab' has no attribute 'stagee'"):
        benchlab.stagee  # noqa: B018
