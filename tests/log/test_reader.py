"""What the reader does with each kind of damage, one hazard a test."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchlab.errors import Fault
from benchlab.event import Aligned, Event
from benchlab.log.lines import HEAD, MAX_LINE, BadLine
from benchlab.log.reader import RawChanged, StreamReader

NOW = 1_763_800_000_000_000_000
HOUR = 3_600_000_000_000


def line(ts_ns: object = NOW, **more: object) -> bytes:
    return json.dumps({"ts_ns": ts_ns, "source": "gpu.nvml", "kv": {"power_w": 1.5}, **more}).encode() + b"\n"


def read_all(reader: StreamReader[Event]) -> tuple[list[int], list[BadLine]]:
    times: list[int] = []
    bad: list[BadLine] = []
    at_end = False
    while not at_end:
        batch = reader.read()
        times += [row.ts_ns for row in batch.rows]
        bad += batch.bad
        at_end = batch.at_end
    return times, bad


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.jsonl"


def test_a_line_with_only_time_source_and_kv_is_enough_and_unknown_fields_are_ignored(path: Path) -> None:
    path.write_bytes(line() + line(NOW + 1, colour="red", nested={"a": [1]}))
    rows = StreamReader(path, Event).read().rows
    assert [(r.ts_ns, r.source, r.kv, r.seq) for r in rows] == [
        (NOW, "gpu.nvml", {"power_w": 1.5}, None),
        (NOW + 1, "gpu.nvml", {"power_w": 1.5}, None),
    ]


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b'{"ts_ns":1763800000000000000,"sou\n', "not_json"),
        (b"\x00" * 40 + b"\n", "not_json"),
        (b"\xef\xbb\xbf" + line(), "not_json"),
        (line()[:-1] + line(), "not_json"),
        (line()[:-1] + b" " + line(), "not_json"),
        (line(float("nan")), "not_json"),
        (b'{"x":' + b"[" * 50_000 + b"\n", "not_json"),
        (b"[1,2]\n", "not_object"),
        (b"17\n", "not_object"),
        (b'{"source":"a","kv":{}}\n', "bad_ts_ns"),
        (line(-1), "bad_ts_ns"),
        (line(1.5), "bad_ts_ns"),
        (line(1.7638e18), "bad_ts_ns"),
        (line("1763800000000000000"), "bad_ts_ns"),
        (line(None), "bad_ts_ns"),
        (line(True), "bad_ts_ns"),
        (line(2**63), "bad_ts_ns"),
        (line(10**40), "bad_ts_ns"),
        (line(kv=[1, 2]), "bad_kv"),
        (line(kv="power"), "bad_kv"),
        (line(kv=None), "bad_kv"),
        (line(source=7), "bad_source"),
        (line(seq="x"), "bad_seq"),
        (b'{"ts_ns":1763800000000000000,"source":"\xff\xfe","kv":{}}\n', "not_utf8"),
        (b'{"ts_ns":1763800000000000000,"source":"a","kv":{},"unknown":"\xff"}\n', "not_utf8"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_reason_and_its_neighbours_survive(
    path: Path, damaged: bytes, reason: str
) -> None:
    before, after = line(NOW) + line(NOW + 1), line(NOW + 2)
    path.write_bytes(before + damaged + after)
    times, bad = read_all(StreamReader(path, Event))
    assert times == [NOW, NOW + 1, NOW + 2]
    assert [(b.offset, b.length, b.reason) for b in bad] == [(len(before), len(damaged) - 1, reason)]


def test_one_object_over_two_lines_beside_two_on_one_line_is_three_bad_lines(path: Path) -> None:
    # a decoder of concatenated values takes these for three objects on three lines
    spread = b'{"ts_ns":1763800000000000000,\n"source":"a","kv":{}}\n'
    path.write_bytes(line() + spread + line()[:-1] + line() + line(NOW + 1))
    times, bad = read_all(StreamReader(path, Event))
    assert times == [NOW, NOW + 1]
    assert [b.reason for b in bad] == ["not_json", "not_object", "not_json"]


def test_the_head_of_a_bad_line_is_escaped_and_bounded(path: Path) -> None:
    path.write_bytes(line() + b"\xff\x00ok" + b"y" * 10_000 + b"\n")
    _, [bad] = read_all(StreamReader(path, Event))
    assert bad.head.startswith("\\xff\x00ok") and bad.head.endswith("y" * 4000)
    assert len(bad.head) == HEAD + len("\\xff") - 1
    assert bad.length == 10_004


def test_blank_lines_and_carriage_returns_are_neither_rows_nor_bad(path: Path) -> None:
    path.write_bytes(b"\n" + line(NOW)[:-1] + b"\r\n\n  \t\r\n\n" + line(NOW + 1))
    batch = StreamReader(path, Event).read()
    assert [r.ts_ns for r in batch.rows] == [NOW, NOW + 1]
    assert batch.bad == []
    assert [batch.offset_of(i) for i in (0, 1)] == [1, path.stat().st_size - len(line(NOW + 1))]


def test_a_torn_last_line_waits_for_its_rest(path: Path) -> None:
    path.write_bytes(line(NOW) * 2 + line(NOW + 1)[:20])
    reader = StreamReader(path, Event)
    assert read_all(reader) == ([NOW, NOW], [])
    assert reader.unread() == 20
    with path.open("ab") as file:
        file.write(line(NOW + 1)[20:])
    assert read_all(reader) == ([NOW + 1], [])
    assert reader.unread() == 0


def test_offsets_of_rows_point_at_their_lines(path: Path) -> None:
    lines = [line(NOW + i, pad="x" * i) for i in range(50)]
    path.write_bytes(b"".join(lines))
    reader = StreamReader(path, Event, chunk_bytes=700)
    data, at_end = path.read_bytes(), False
    while not at_end:
        batch = reader.read()
        at_end = batch.at_end
        for i, row in enumerate(batch.rows):
            assert json.loads(data[batch.offset_of(i) :].split(b"\n")[0])["ts_ns"] == row.ts_ns


@pytest.mark.parametrize(("length", "reasons"), [(MAX_LINE, []), (MAX_LINE + 1, ["oversized"])])
@pytest.mark.parametrize("chunk", [1000, 256 * 1024, 64 << 20])
def test_a_line_of_one_mebibyte_is_good_and_one_byte_more_is_not(
    path: Path, length: int, reasons: list[str], chunk: int
) -> None:
    empty = len(line(NOW + 1, pad="")) - 1
    path.write_bytes(line(NOW) + line(NOW + 1, pad="x" * (length - empty)) + line(NOW + 2))
    times, bad = read_all(StreamReader(path, Event, chunk_bytes=chunk))
    assert [b.reason for b in bad] == reasons
    assert len(times) == 3 - len(reasons)


def test_an_oversized_line_is_skipped_without_holding_it_in_memory(path: Path) -> None:
    length = 300 << 20
    with path.open("wb") as file:
        file.write(line(NOW) + line(NOW + 1))
        file.truncate(file.tell() + length)  # a hole reads as zeros
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line(NOW + 2))
    before = _peak_kib()
    times, bad = read_all(StreamReader(path, Event))
    assert times == [NOW, NOW + 1, NOW + 2]
    assert [(b.length, b.reason, len(b.head)) for b in bad] == [(length, "oversized", HEAD)]
    assert _peak_kib() - before < 32 * 1024


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def test_an_oversized_line_still_being_written_holds_the_offset_but_not_the_reader(path: Path) -> None:
    path.write_bytes(line(NOW) + line(NOW + 1))
    start = path.stat().st_size
    reader = StreamReader(path, Event)
    read_all(reader)
    for _ in range(3):
        with path.open("ab") as file:
            file.write(b"x" * MAX_LINE)
        assert read_all(reader) == ([], [])
        assert reader.offset == start
    with path.open("ab") as file:
        file.write(b"\n" + line(NOW + 2))
    times, bad = read_all(reader)
    assert times == [NOW + 2]
    assert [(b.offset, b.length) for b in bad] == [(start, 3 * MAX_LINE)]


def test_a_jump_of_more_than_an_hour_is_held_until_the_next_line_agrees(path: Path) -> None:
    path.write_bytes(line(NOW) + line(NOW + 1) + line(NOW + 3 * HOUR))
    reader = StreamReader(path, Event)
    assert read_all(reader) == ([NOW, NOW + 1], [])
    assert reader.held and reader.offset == len(line(NOW) + line(NOW + 1))
    with path.open("ab") as file:
        file.write(line(NOW + 3 * HOUR - HOUR))
    batch = reader.read()
    assert [r.ts_ns for r in batch.rows] == [NOW + 3 * HOUR, NOW + 2 * HOUR]
    assert batch.offset_of(0) == batch.start


def test_a_jump_that_the_next_line_contradicts_is_far_future(path: Path) -> None:
    path.write_bytes(line(NOW) + line(NOW + 1) + line(NOW + HOUR + 2) + line(NOW + 1))
    times, bad = read_all(StreamReader(path, Event))
    assert times == [NOW, NOW + 1, NOW + 1]
    assert [b.reason for b in bad] == ["far_future"]


def test_an_hour_exactly_is_no_jump(path: Path) -> None:
    path.write_bytes(line(NOW) + line(NOW + 1) + line(NOW + 1 + HOUR))
    assert read_all(StreamReader(path, Event)) == ([NOW, NOW + 1, NOW + 1 + HOUR], [])


def test_a_first_line_far_in_the_future_does_not_take_the_stream_with_it(path: Path) -> None:
    path.write_bytes(line(NOW + 2 * HOUR) + line(NOW) + line(NOW + 1))
    times, bad = read_all(StreamReader(path, Event))
    assert times == [NOW, NOW + 1]
    assert [(b.offset, b.reason) for b in bad] == [(0, "far_future")]


def test_at_the_end_a_lone_first_line_is_good_and_a_held_jump_is_bad(path: Path) -> None:
    path.write_bytes(line(NOW))
    reader = StreamReader(path, Event)
    assert read_all(reader) == ([], [])
    assert [r.ts_ns for r in reader.flush_held().rows] == [NOW]
    path.write_bytes(line(NOW) + line(NOW + 1) + line(NOW + 2 * HOUR))
    reader = StreamReader(path, Event)
    read_all(reader)
    last = reader.flush_held()
    assert (last.rows, [b.reason for b in last.bad], reader.unread()) == ([], ["far_future"], 0)


def test_at_the_end_a_line_that_lacks_only_its_newline_is_taken_and_a_torn_one_is_not(path: Path) -> None:
    whole = line(NOW) + line(NOW + 1)
    path.write_bytes(whole + line(NOW + 2)[:-1])
    reader = StreamReader(path, Event)
    read_all(reader)
    last = reader.flush_held()
    assert ([r.ts_ns for r in last.rows], last.offset_of(0), reader.unread()) == ([NOW + 2], len(whole), 0)
    path.write_bytes(whole + line(NOW + 2)[:-2])
    reader = StreamReader(path, Event)
    read_all(reader)
    last = reader.flush_held()
    assert (last.rows, last.bad, reader.unread()) == ([], [], len(line(NOW + 2)) - 2)


def test_a_flush_can_be_undone_by_restoring_the_state_before_it(path: Path) -> None:
    path.write_bytes(line(NOW))
    reader = StreamReader(path, Event)
    read_all(reader)
    before = reader.state()
    reader.flush_held()
    reader.restore(before)
    with path.open("ab") as file:
        file.write(line(NOW + 1))
    assert read_all(reader) == ([NOW, NOW + 1], [])


def test_aligned_rows_are_not_guarded_and_may_jump(path: Path) -> None:
    row = b'{"ts_aligned_ns":%d,"source":"metric.latency","kv":{}}\n'
    path.write_bytes(row % NOW + row % (NOW + 9 * HOUR) + row % -5)
    batch = StreamReader(path, Aligned).read()
    assert [r.ts_aligned_ns for r in batch.rows] == [NOW, NOW + 9 * HOUR]
    assert [b.reason for b in batch.bad] == ["bad_ts_aligned_ns"]


def test_nothing_beyond_the_limit_is_looked_at(path: Path) -> None:
    vouched = line(NOW) + line(NOW + 1)
    path.write_bytes(vouched + b"garbage\n" + line(NOW + 2))
    reader = StreamReader(path, Event, limit=len(vouched), chunk_bytes=64)
    assert read_all(reader) == ([NOW, NOW + 1], [])
    assert (reader.offset, reader.unread()) == (len(vouched), 0)


def test_a_file_that_appears_later_is_read_from_its_beginning(path: Path) -> None:
    reader = StreamReader(path, Event)
    assert read_all(reader) == ([], []) and reader.unread() == 0
    path.write_bytes(line(NOW) + line(NOW + 1))
    assert read_all(reader) == ([NOW, NOW + 1], [])


def followed(path: Path) -> StreamReader[Event]:
    path.write_bytes(line(NOW) + line(NOW + 1))
    reader = StreamReader(path, Event)
    read_all(reader)
    return reader


def test_truncation_is_told_and_told_again(path: Path) -> None:
    reader = followed(path)
    os.truncate(path, 10)
    for _ in range(2):
        with pytest.raises(RawChanged) as changed:
            reader.read()
        assert changed.value.reason == "truncated"
        assert str(path) in changed.value.message


def test_an_offset_beyond_the_file_is_told_even_without_a_state(path: Path) -> None:
    path.write_bytes(line(NOW))
    with pytest.raises(RawChanged) as changed:
        StreamReader(path, Event, offset=10_000).read()
    assert changed.value.reason == "truncated"


def test_truncation_that_grew_again_before_the_next_look_is_noticed(path: Path) -> None:
    reader = followed(path)
    path.write_bytes(line(NOW + 7) * 5)  # same inode, longer than before
    with pytest.raises(RawChanged) as changed:
        reader.read()
    assert changed.value.reason == "replaced"


def test_replacement_is_told_after_the_old_file_was_read_to_its_end(path: Path) -> None:
    reader = followed(path)
    with path.open("ab") as file:
        file.write(line(NOW + 2))
    fresh = path.with_suffix(".new")
    fresh.write_bytes(line(NOW) * 10)
    fresh.replace(path)
    assert [r.ts_ns for r in reader.read().rows] == [NOW + 2]
    with pytest.raises(RawChanged) as changed:
        reader.read()
    assert changed.value.reason == "replaced"


def test_disappearance_is_told_after_the_rest_was_read(path: Path) -> None:
    reader = followed(path)
    with path.open("ab") as file:
        file.write(line(NOW + 2))
    path.unlink()
    assert [r.ts_ns for r in reader.read().rows] == [NOW + 2]
    with pytest.raises(RawChanged) as changed:
        reader.read()
    assert changed.value.reason == "missing"


@pytest.mark.parametrize("torn", [b"{", b"x" * (MAX_LINE + 1)])
def test_disappearance_is_told_even_while_a_torn_line_waits(path: Path, torn: bytes) -> None:
    reader = followed(path)
    with path.open("ab") as file:
        file.write(torn)
    read_all(reader)
    path.unlink()
    with pytest.raises(RawChanged) as changed:
        reader.read()
    assert changed.value.reason == "missing"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "missing"), (b"{}\n", "truncated"), (line(NOW + 5) * 9, "replaced")]
)
def test_a_state_does_not_fit_another_file(path: Path, content: bytes | None, reason: str) -> None:
    state = followed(path).state()
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(RawChanged) as changed:
        StreamReader(path, Event).restore(state)
    assert changed.value.reason == reason


def test_a_state_fits_a_copy_of_the_file(path: Path, tmp_path: Path) -> None:
    state = followed(path).state()
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes() + line(NOW + 2))
    reader = StreamReader(copy, Event)
    reader.restore(state)
    assert read_all(reader) == ([NOW + 2], [])


def test_a_pipe_in_place_of_a_stream_does_not_block_the_reader(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(Fault, match="not a regular file"):
        StreamReader(path, Event).read()
