"""What the writer promises: whole lines, one after the other, and nothing lost without a word."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchlab.errors import Exit, Fault
from benchlab.event import Event
from benchlab.log.lines import MAX_LINE
from benchlab.log.writer import LogWriter

NOW = 1_763_800_000_000_000_000
SECOND = 1_000_000_000


class Clock:
    """A timeline that moves when told to."""

    def __init__(self) -> None:
        self.now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns


class Disk:
    """The system call, with faults: it takes ``room`` bytes in all, then raises ``error``."""

    def __init__(self, room: int | None = None, error: int = errno.ENOSPC) -> None:
        self.room = room
        self.error = error
        self.calls = 0

    def __call__(self, fd: int, data: bytes) -> int:
        self.calls += 1
        if self.room is None:
            return os.write(fd, data)
        if self.room == 0:
            raise OSError(self.error, os.strerror(self.error))
        taken = os.write(fd, data[: self.room])
        self.room -= taken
        return taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.jsonl"


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[..., LogWriter]


@pytest.fixture
def opened(path: Path, clock: Clock) -> Open:
    def _open(**more: Any) -> LogWriter:
        return LogWriter(path, path.with_suffix(".lock"), clock=clock, **more)

    return _open


def events(*numbers: int) -> list[Event]:
    return [Event(ts_ns=NOW + n, source="gpu.nvml", kv={"power_w": float(n)}) for n in numbers]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def told(path: Path) -> list[str]:
    """What the stream says, in order: the word of each meta line, the source of each other one."""
    return [line["kv"].get("event", line["source"]) for line in lines(path)]


def test_a_life_without_trouble_is_start_events_stop_with_seq_from_zero(opened: Open, path: Path) -> None:
    writer = opened()
    writer.start({"version": "0.1.0", "disorder_ms": 50})
    writer.write(events(1, 2))
    writer.stop()
    assert told(path) == ["start", "gpu.nvml", "gpu.nvml", "stop"]
    assert [line["seq"] for line in lines(path)] == [0, 1, 2, 3]
    assert lines(path)[0]["kv"] == {"event": "start", "version": "0.1.0", "disorder_ms": 50}
    assert (writer.stats.lines, writer.stats.bytes) == (4, path.stat().st_size)
    assert (writer.stats.lost, writer.stats.errors) == (0, 0)


def test_seq_goes_on_where_the_file_ended_and_a_clean_end_gets_no_gap(opened: Open, path: Path) -> None:
    for _ in range(2):
        writer = opened()
        writer.start({})
        writer.stop()
    assert told(path) == ["start", "stop", "start", "stop"]
    assert [line["seq"] for line in lines(path)] == [0, 1, 2, 3]


def test_a_start_after_no_stop_tells_of_an_unclean_end(opened: Open, path: Path) -> None:
    path.write_bytes(b'{"ts_ns":1,"source":"a","kv":{},"seq":41}\n')
    opened().start({})
    assert told(path) == ["a", "gap", "start"]
    assert lines(path)[1]["kv"] == {"event": "gap", "n": None, "why": "unclean_end"}
    assert [line["seq"] for line in lines(path)] == [41, 42, 43]


def test_opening_and_stopping_without_a_start_does_not_hide_an_unclean_end(opened: Open, path: Path) -> None:
    path.write_bytes(b'{"ts_ns":1,"source":"a","kv":{}}\n')
    opened().stop()
    opened().start({})
    assert told(path) == ["a", "gap", "start"]


def test_a_torn_last_line_is_closed_before_the_next_append(opened: Open, path: Path) -> None:
    whole = b'{"ts_ns":1,"source":"a","kv":{},"seq":6}\n'
    path.write_bytes(whole + b'{"ts_ns":2,"sour')
    writer = opened()
    assert path.read_bytes() == whole + b'{"ts_ns":2,"sour\n'
    writer.start({})
    assert [json.loads(line)["seq"] for line in path.read_bytes().split(b"\n")[2:-1]] == [8, 9]


def test_a_last_line_that_lacks_only_its_newline_keeps_its_seq(opened: Open, path: Path) -> None:
    path.write_bytes(b'{"ts_ns":2,"source":"a","kv":{},"seq":7}')
    opened().start({})
    assert [line["seq"] for line in lines(path)] == [7, 8, 9]


def test_damage_before_the_last_good_line_does_not_count(opened: Open, path: Path) -> None:
    good = b'{"ts_ns":2,"source":"a","kv":{},"seq":%d}'
    path.write_bytes(good % 0 + b"\ngarbage\n{}\n" + good % 3)
    opened().start({})
    assert [json.loads(line)["seq"] for line in path.read_bytes().split(b"\n")[3:-1]] == [3, 4, 5]


@pytest.mark.parametrize(
    "damage",
    [
        b"garbage\n" * 3,
        b"\x00" * 100 + b"\n" + b"x\n\xff",
        b"y" * (MAX_LINE + 1) + b"\n{}\n{",
        b'{"ts_ns":9,"source":"a","kv":{},"seq":8}garbage\n{\n[\n',
    ],
)
@pytest.mark.parametrize("before", [1, 5000])
def test_seq_counts_on_over_damaged_last_lines(opened: Open, path: Path, damage: bytes, before: int) -> None:
    whole = b"".join(b'{"ts_ns":1,"source":"a","kv":{},"seq":%d}\n' % i for i in range(before))
    path.write_bytes(whole + damage)
    opened().start({})
    gap, start = (json.loads(line) for line in path.read_bytes().split(b"\n")[-3:-1])
    assert (gap["kv"]["why"], start["kv"]["event"]) == ("unclean_end", "start")
    assert (gap["seq"], start["seq"]) == (before + 3, before + 4)


def test_a_log_of_another_program_without_seq_gets_one_from_zero(opened: Open, path: Path) -> None:
    path.write_bytes(b'{"ts_ns":1,"source":"a","kv":{}}\n' * 3)
    opened().start({})
    assert [line.get("seq") for line in lines(path)] == [None, None, None, 0, 1]


def test_a_far_future_last_line_counts_for_seq(opened: Open, path: Path) -> None:
    path.write_bytes(b'{"ts_ns":1,"source":"a","kv":{},"seq":0}\n{"ts_ns":%d,"source":"a","kv":{},"seq":1}\n' % 2**62)
    opened().start({})
    assert [line["seq"] for line in lines(path)] == [0, 1, 2, 3]


def test_a_batch_is_one_system_call(opened: Open) -> None:
    disk = Disk()
    writer = opened(write=disk)
    writer.write(events(*range(500)))
    writer.write([])
    assert disk.calls == 1


@pytest.mark.parametrize("room", range(0, 200, 7))
def test_a_short_write_is_completed_exactly(opened: Open, path: Path, room: int) -> None:
    disk = Disk(room)
    writer = opened(write=disk)
    writer.write(events(1, 2))
    writer.write(events(3))
    disk.room = None
    writer.write(events(4))
    writer.stop()
    assert [line["ts_ns"] - NOW for line in lines(path)] == [1, 2, 3, 4]
    assert [line["seq"] for line in lines(path)] == [0, 1, 2, 3]
    assert writer.stats.bytes == path.stat().st_size


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_what_a_failing_disk_did_not_take_is_written_when_it_recovers(opened: Open, path: Path, error: int) -> None:
    disk = Disk(error=error)
    writer = opened(write=disk)
    writer.start({})
    disk.room, disk.error = 0, error
    for n in range(10):
        writer.write(events(n))
    writer.tick()
    assert told(path) == ["start"] and writer.stats.errors > 0
    disk.room = None
    writer.tick()
    assert [line["seq"] for line in lines(path)] == list(range(11))
    assert writer.stats.lost == 0


@pytest.mark.parametrize("stub", [0, 30])
def test_an_overflowing_ring_gives_up_the_oldest_and_tells_how_many(opened: Open, path: Path, stub: int) -> None:
    disk = Disk(stub)
    writer = opened(write=disk, ring_bytes=1000)
    for n in range(100):
        writer.write(events(n))
    disk.room = None
    writer.tick()
    *kept, gap = lines(path)
    begun = 1 if stub else 0
    numbers = [line["ts_ns"] - NOW for line in kept]
    lost = 100 - len(kept)
    assert numbers == [*range(begun), *range(begun + lost, 100)]
    assert gap["kv"] == {
        "event": "gap",
        "n": lost,
        "why": "write_failed",
        "error": os.strerror(errno.ENOSPC),
        "from_ns": NOW + begun,
        "to_ns": NOW + begun + lost - 1,
    }
    assert (gap["seq"], writer.stats.lost) == (100, lost)
    holes = kept[0]["seq"] + sum(b["seq"] - a["seq"] - 1 for a, b in pairwise(kept))
    assert holes == lost


def test_a_gap_is_never_written_into_the_middle_of_what_still_waits(opened: Open, path: Path) -> None:

    longest = [400]

    def write(fd: int, data: bytes) -> int:
        if len(data) > longest[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data)

    writer = opened(write=write, ring_bytes=2000)
    for n in range(20):
        writer.write(events(*range(20 * n, 20 * n + 20)))  # too long for this disk, unlike a gap
    writer.write(events(400))
    assert path.read_bytes() == b""
    longest[0] = 1 << 20
    writer.tick()
    assert told(path)[-1] == "gap" and told(path).count("gap") == 1
    assert lines(path)[-1]["kv"]["n"] == writer.stats.lost == 401 - len(lines(path)) + 1


def test_a_gap_that_cannot_be_written_keeps_its_count(opened: Open, path: Path) -> None:
    disk = Disk(0)
    writer = opened(write=disk, ring_bytes=250)
    writer.write(events(1, 2, 3, 4))
    kept = 250 // len(b'{"ts_ns":1763800000000000001,"source":"gpu.nvml","kv":{"power_w":1.0},"seq":0}\n')
    disk.room = 250  # enough for the lines that wait, not for the gap after them
    writer.tick()
    for _ in range(3):
        writer.tick()
    disk.room = None
    writer.write(events(5))
    writer.stop()
    gaps = [line for line in lines(path) if line["kv"].get("event") == "gap"]
    assert [gap["kv"]["n"] for gap in gaps] == [4 - kept]
    assert [line["seq"] for line in lines(path)] == sorted({line["seq"] for line in lines(path)})


def test_the_ring_is_bounded_in_memory(opened: Open) -> None:
    writer = opened(write=Disk(0), ring_bytes=10_000)
    for n in range(2000):
        writer.write(events(n))
    assert writer.stats.lost > 1800
    assert len(writer._ring.front(1 << 30)) <= 10_000


def test_stopping_while_the_disk_fails_counts_what_is_lost_and_the_next_start_tells(opened: Open, path: Path) -> None:
    disk = Disk()
    writer = opened(write=disk)
    writer.start({})
    disk.room = 30
    writer.write(events(1, 2))
    writer.stop()
    assert writer.stats.lost == 2
    opened().start({})
    assert [json.loads(line)["kv"]["event"] for line in path.read_bytes().split(b"\n")[2:-1]] == ["gap", "start"]


def test_after_a_second_of_silence_the_stream_says_alive(opened: Open, path: Path, clock: Clock) -> None:
    writer = opened()
    writer.tick()
    clock.now_ns += 5 * SECOND
    writer.tick()
    assert told(path) == []  # it has not started: it has nothing to vouch for
    writer.start({})
    for _ in range(10):
        clock.now_ns += SECOND // 4
        writer.tick()
    assert told(path) == ["start", "alive", "alive"]
    assert [line["ts_ns"] for line in lines(path)[1:]] == [NOW + 6 * SECOND, NOW + 7 * SECOND]
    writer.write(events(1))
    clock.now_ns += SECOND - 1
    writer.tick()
    assert told(path)[-1] == "gpu.nvml"


def test_slow_disk_is_no_silence(opened: Open, path: Path, clock: Clock) -> None:
    def slow(fd: int, data: bytes) -> int:
        clock.now_ns += 5 * SECOND
        return os.write(fd, data)

    writer = opened(write=slow)
    writer.start({})
    writer.write(events(1))
    writer.tick()
    assert told(path) == ["start", "gpu.nvml"]


def test_alive_is_not_said_while_older_lines_wait(opened: Open, path: Path, clock: Clock) -> None:
    disk = Disk()
    writer = opened(write=disk)
    writer.start({})
    disk.room = 0
    writer.write(events(1))
    clock.now_ns += 3 * SECOND
    writer.tick()
    disk.room = None
    writer.tick()
    assert told(path)[:2] == ["start", "gpu.nvml"]


def test_fsync_comes_at_most_every_period_and_only_when_there_is_something(opened: Open, clock: Clock) -> None:
    synced: list[int] = []
    writer = opened(fsync=lambda fd: synced.append(clock.now_ns), fsync_s=2.0)
    for _ in range(40):
        clock.now_ns += SECOND // 4
        writer.write(events(1))
        writer.tick()
    assert [b - a for a, b in pairwise(synced)] == [2 * SECOND] * (len(synced) - 1)
    assert len(synced) == 5
    for _ in range(40):
        clock.now_ns += SECOND // 4
        writer.tick()
    assert len(synced) == 5
    writer.stop()
    assert len(synced) == 6


def test_a_failed_fsync_is_counted_and_tried_again(opened: Open, clock: Clock) -> None:
    results = [OSError(errno.EIO, "Input/output error"), None]

    def fsync(fd: int) -> None:
        if results and (result := results.pop(0)):
            raise result

    writer = opened(fsync=fsync)
    writer.write(events(1))
    for expected_left in (1, 0, 0):
        clock.now_ns += SECOND
        writer.tick()
        assert len(results) == expected_left
    assert writer.stats.errors == 1


def test_a_slow_fsync_holds_up_no_writer(opened: Open, path: Path, clock: Clock) -> None:
    entered, leave = threading.Event(), threading.Event()

    def fsync(fd: int) -> None:
        entered.set()
        assert leave.wait(10)

    writer = opened(fsync=fsync)
    writer.write(events(1))
    clock.now_ns += SECOND
    ticking = threading.Thread(target=writer.tick)
    ticking.start()
    assert entered.wait(10)
    writer.write(events(2))
    assert len(lines(path)) == 2
    leave.set()
    ticking.join(10)
    writer.stop()


def test_many_threads_share_a_writer_without_a_hole_or_a_torn_line(opened: Open, path: Path) -> None:
    writer = opened()

    def work(thread: int) -> None:
        for n in range(200):
            writer.write(events(thread * 1000 + n, thread * 1000 + n))
            writer.tick()

    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.stop()
    assert [line["seq"] for line in lines(path)] == list(range(1600))
    written = [line["ts_ns"] for line in lines(path)]
    assert written[::2] == written[1::2], "a batch stays together"


def test_a_removed_file_is_made_anew_and_tells_that_something_is_missing(
    opened: Open, path: Path, clock: Clock
) -> None:
    writer = opened()
    writer.start({})
    path.unlink()
    writer.write(events(1))
    clock.now_ns += SECOND
    writer.tick()
    writer.write(events(2))
    assert told(path) == ["gap", "gpu.nvml"]
    assert lines(path)[0]["kv"] == {"event": "gap", "n": None, "why": "file_removed"}
    assert [line["seq"] for line in lines(path)] == [3, 4]  # start, event and alive went with the file


def test_a_replaced_file_that_ends_torn_is_closed_before_the_next_append(
    opened: Open, path: Path, clock: Clock
) -> None:
    writer = opened()
    writer.start({})
    path.unlink()
    path.write_bytes(b'{"ts_ns":1,"sour')
    clock.now_ns += SECOND
    writer.tick()
    assert [json.loads(line)["kv"]["event"] for line in path.read_bytes().split(b"\n")[1:-1]] == ["gap"]


def test_a_folder_that_is_gone_stops_no_one(opened: Open, path: Path, clock: Clock) -> None:
    writer = opened()
    writer.start({})
    aside = path.parent.rename(path.parent.with_suffix(".aside"))
    for n in range(3):
        writer.write(events(n))
        clock.now_ns += SECOND
        writer.tick()
    assert writer.stats.errors > 0
    assert told(aside / path.name).count("gpu.nvml") == 3
    aside.rename(path.parent)
    writer.stop()
    assert told(path)[-1] == "stop"


def test_stop_is_idempotent_and_writing_after_it_is_refused(opened: Open, path: Path) -> None:
    writer = opened()
    writer.start({})
    writer.stop()
    writer.stop()
    writer.tick()
    with pytest.raises(ValueError, match="closed"):
        writer.write(events(1))
    assert told(path) == ["start", "stop"]


@pytest.mark.parametrize(
    ("kv", "error"), [({"a": object()}, TypeError), ({"a": "\udc80"}, ValueError), ({"a": "x" * MAX_LINE}, ValueError)]
)
def test_an_event_that_cannot_be_a_line_leaves_no_trace(
    opened: Open, path: Path, kv: dict[str, Any], error: type[Exception]
) -> None:
    writer = opened()
    with pytest.raises(error):
        writer.write([*events(1), Event(ts_ns=NOW, source="a", kv=kv)])
    writer.write(events(2))
    assert [(line["seq"], line["ts_ns"]) for line in lines(path)] == [(0, NOW + 2)]


def test_a_second_writer_in_the_same_process_is_refused_and_the_first_goes_on(opened: Open, path: Path) -> None:
    writer = opened()
    with pytest.raises(Fault) as refused:
        opened()
    assert refused.value.code is Exit.IO
    assert str(path) in refused.value.message and str(os.getpid()) in refused.value.message
    writer.write(events(1))
    writer.stop()
    opened().stop()


def test_a_new_file_may_be_read_by_its_group_whatever_the_umask(opened: Open, path: Path) -> None:
    before = os.umask(0o077)
    try:
        opened()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_refused_and_the_lock_given_back(
    opened: Open, path: Path, make: Callable[[Path], None]
) -> None:
    make(path)
    with pytest.raises(Fault, match=str(path)):
        opened()
    path.rmdir() if path.is_dir() else path.unlink()
    opened().stop()
