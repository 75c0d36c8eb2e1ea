"""Reading aligned files: what is vouched for, what is damaged, which pairs there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchlab.query.aligned import AlignedReader, PairCount, pair_of, pairs, read_aligned, select
from support.cx_sessions import MS, PAIR, START_NS, Recording, drop, frame, steady


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path)


def test_rows_come_in_the_order_of_the_file(recording: Recording) -> None:
    recording.aligned([*steady(3), drop(START_NS - MS)])
    sources = [row.source for row in read_aligned(recording.dir)]
    assert sources == ["metric.latency"] * 3 + ["metric.dropped"]


def test_a_missing_file_has_no_rows(recording: Recording) -> None:
    reader = AlignedReader(recording.dir)
    assert not reader.exists
    assert list(reader) == []


def test_rows_beyond_the_vouched_length_are_read_only_on_demand(recording: Recording) -> None:
    path = recording.aligned(steady(10))
    line = path.read_bytes().index(b"\n") + 1
    recording.vouch(length=3 * line)
    assert len(list(read_aligned(recording.dir, provisional=False))) == 3
    reader = AlignedReader(recording.dir)
    assert reader.provisional
    assert len(list(reader)) == 10


def test_without_a_checkpoint_all_rows_count_as_settled(recording: Recording) -> None:
    recording.aligned(steady(10))
    reader = AlignedReader(recording.dir, provisional=False)
    assert len(list(reader)) == 10
    assert not reader.provisional


def test_bad_lines_are_counted_and_skipped_and_a_torn_last_line_waits(recording: Recording) -> None:
    path = recording.aligned(steady(3))
    path.write_bytes(b"nonsense\n" + path.read_bytes() + b'{"source":"metric.latency"}\n{"ts_aligned_ns":17,')
    reader = AlignedReader(recording.dir)
    assert len(list(reader)) == 3
    assert reader.bad == 2


def test_a_reader_can_be_gone_through_again_with_the_same_result(recording: Recording) -> None:
    recording.aligned([*steady(3), {"not": "a row"}])
    reader = AlignedReader(recording.dir)
    assert list(reader) == list(reader)
    assert reader.bad == 1


def test_rows_that_are_appended_meanwhile_are_not_read(recording: Recording) -> None:
    path = recording.aligned(steady(3))
    reader = AlignedReader(recording.dir)
    path.write_bytes(path.read_bytes() * 2)
    assert len(list(reader)) == 3


def test_a_file_cut_back_while_it_is_read_ends_there_and_says_so(recording: Recording) -> None:
    path = recording.aligned(steady(10_000))
    reader = AlignedReader(recording.dir)
    rows = iter(reader)
    next(rows)
    with path.open("r+b") as file:
        file.truncate(100)
    read = 1 + sum(1 for _ in rows)
    assert 0 < read < 10_000
    assert reader.changed


def test_pairs_are_counted_with_their_stretch_of_time(recording: Recording) -> None:
    rows = [*steady(3), drop(START_NS - MS), frame(START_NS + 5, 1.0, pair=("encoded", "displayed"))]
    recording.aligned(rows)
    assert pairs(read_aligned(recording.dir)) == {
        PAIR: PairCount(START_NS - MS, START_NS + 32 * MS, frames=3, drops=1),
        ("encoded", "displayed"): PairCount(START_NS + 5, START_NS + 5, frames=1, drops=0),
    }


def test_select_takes_one_pair_in_a_half_open_stretch(recording: Recording) -> None:
    recording.aligned([*steady(5), frame(START_NS + 16 * MS, 1.0, pair=("a", "b"))])
    chosen = select(read_aligned(recording.dir), PAIR, START_NS + 16 * MS, START_NS + 48 * MS)
    assert [row.ts_aligned_ns - START_NS for row in chosen] == [16 * MS, 32 * MS]
    assert len(list(select(read_aligned(recording.dir)))) == 6


@pytest.mark.parametrize("pair", [None, "ingress", ["ingress"], ["a", "b", "c"], ["a", 1], {"a": "b"}])
def test_a_pair_that_is_none_belongs_to_nothing(recording: Recording, pair: object) -> None:
    recording.aligned([{"ts_aligned_ns": START_NS, "source": "metric.latency", "kv": {"lat_ms": 1.0, "pair": pair}}])
    (row,) = read_aligned(recording.dir)
    assert pair_of(row) is None
    assert pairs([row]) == {}
