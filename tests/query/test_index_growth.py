"""The index of files that grow, are cut anywhere and are made anew is the one that a fresh start makes."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab.query.aligned import LATENCY_FILE, SIGNALS_FILE
from benchlab.query.index import Index
from benchlab.query.latency import LatencyHistory
from benchlab.query.percentiles import percentile
from support.cx_sessions import MS, START_NS, Recording, Row, drop, frame
from support.histories import OTHER, PAIR, assert_is_true, dumped, encoded, plain, vouch, window

SEGMENT = 4096
BAD = [
    b"nonsense\n",
    b'{"ts_aligned_ns":1,"source":"metric.latency"}\n',
    b"\xff\xfe\n",
    b"\n",
    b'{"ts_aligned_ns":-1}\n',
]


def rows_of(random: Random, count: int) -> bytes:
    """Return lines as muxd may write them, with drops behind their time, quiet spells and damaged lines."""
    found: list[bytes] = []
    at_ns = START_NS
    for i in range(count):
        at_ns += random.choice([16 * MS, 16 * MS, 16 * MS, 0, 1500 * MS])
        pair = PAIR if random.random() < 0.7 else OTHER
        if random.random() < 0.15:
            row: Row = drop(at_ns - random.choice([0, 2000 * MS]), pair)
        else:
            more = {"power_w": random.uniform(1, 300), "energy_j": random.random()} if random.random() < 0.8 else {}
            sim = {"sim": True, "sim_of": ["gpu.nvml"]} if random.random() < 0.01 else {}
            row = frame(at_ns, random.choice([0.0, random.uniform(0.1, 90)]), pair, frame=i, **more, **sim)
        found.append(encoded([row]))
        if random.random() < 0.03:
            found.append(random.choice(BAD))
    return b"".join(found)


def fresh(session: Path) -> Index:
    """Return the index of a copy of a session, made in one go."""
    copy = session.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(session, copy, ignore=shutil.ignore_patterns("index"))
    index = Index(copy, SEGMENT)
    assert index.refresh(LATENCY_FILE) == 1
    return index


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 400), st.booleans()), max_size=6))
def test_any_growth_gives_the_index_of_a_fresh_start(seed: int, steps: list[tuple[int, int, bool]]) -> None:
    random = Random(seed)
    with TemporaryDirectory() as folder:
        recording = Recording(Path(folder))
        path = recording.aligned([])
        data, settled, generation = b"", 0, 1
        index = Index(recording.dir, SEGMENT)
        for count, torn, is_made_anew in [*steps, (50, 0, False)]:
            if is_made_anew:
                generation, settled, data = generation + 1, 0, b""
            data = data[:settled] + rows_of(random, count)  # what was not vouched for is decided again
            shown = data + rows_of(random, 2)[:torn]
            path.write_bytes(shown)
            reach = random.choice([len(data), random.randint(settled, len(data))])
            settled = max(settled, data.rfind(b"\n", 0, reach) + 1)
            vouch(recording, settled, generation=generation)
            if random.random() < 0.3:
                index = Index(recording.dir, SEGMENT)  # another process
            assert index.refresh(LATENCY_FILE) == 1
            again = fresh(recording.dir)
            assert dumped(index) == dumped(again)
            assert_answers(recording, index, random, shown)


def assert_answers(recording: Recording, index: Index, random: Random, data: bytes) -> None:
    for exact_frames in (0, 10_000):
        ends = sorted(START_NS + random.randint(-100, 60_000) * MS for _ in range(2))
        from_ns, to_ns = (0, 2**62) if random.random() < 0.3 else ends
        points = random.choice([1, 7, 100, 10_000])
        found = window(recording.dir, index, from_ns, to_ns, points, exact_frames)
        frames, drops = plain(data, PAIR, from_ns, to_ns)
        assert_is_true(found, frames, drops, points)
        assert found.figures is None or found.figures.percentile_error in (0.0, 0.01)
        if found.figures is not None:
            true = percentile(sorted(row["kv"]["lat_ms"] for row in frames), 95)
            assert abs(found.figures.p95_ms - true) <= true * (found.figures.percentile_error + 1e-9) + 1e-6


def test_a_file_without_muxd_that_was_rewritten_is_indexed_anew(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    path = recording.aligned([])
    path.write_bytes(rows_of(Random(1), 400))
    index = Index(recording.dir, SEGMENT)
    index.refresh(LATENCY_FILE)
    other = rows_of(Random(2), 300)
    path.write_bytes(other)
    index.refresh(LATENCY_FILE)
    assert dumped(index) == dumped(fresh(recording.dir))
    frames, drops = plain(other, PAIR, 0, 2**62)
    assert_is_true(window(recording.dir, index, 0, 2**62, 50, 0), frames, drops, 50)


def test_a_file_that_was_cut_back_is_indexed_anew(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    path = recording.aligned([])
    data = rows_of(Random(3), 600)
    path.write_bytes(data)
    index = Index(recording.dir, SEGMENT)
    index.refresh(LATENCY_FILE)
    path.write_bytes(data[: data.index(b"\n", SEGMENT) + 1])
    index.refresh(LATENCY_FILE)
    assert dumped(index) == dumped(fresh(recording.dir))


def test_an_oversized_line_counts_once_and_hides_nothing(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    path = recording.aligned([])
    before, behind = rows_of(Random(4), 100), rows_of(Random(5), 100)
    bad = LatencyHistory(Index(recording.dir, SEGMENT))
    path.write_bytes(before + behind)
    expected = bad.bad_lines() + 1
    path.write_bytes(before + b"x" * (3 << 20) + b"\n" + behind)
    index = Index(recording.dir, SEGMENT)
    index.refresh(LATENCY_FILE)
    assert LatencyHistory(index).bad_lines() == expected
    frames, drops = plain(before + behind, PAIR, 0, 2**62)
    assert_is_true(window(recording.dir, index, 0, 2**62, 10, 0), frames, drops, 10)


def test_work_in_slices_ends_where_work_in_one_go_does(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.aligned([]).write_bytes(rows_of(Random(6), 2000))
    index = Index(recording.dir, SEGMENT)
    shares: list[float] = []
    while not shares or shares[-1] < 1:
        shares.append(index.refresh(LATENCY_FILE, budget_s=0))
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert dumped(index) == dumped(fresh(recording.dir))


def test_a_small_session_gets_no_index_file(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.aligned([]).write_bytes(rows_of(Random(7), 50))
    index = Index(recording.dir)
    assert index.refresh(LATENCY_FILE) == index.refresh(SIGNALS_FILE) == 1
    assert len(LatencyHistory(index).pairs()) == 2
    assert not (recording.dir / "state").exists()


@pytest.mark.parametrize("damage", [b"", b"this is no database, however long it is" * 200])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    recording = Recording(tmp_path)
    recording.aligned([]).write_bytes(rows_of(Random(8), 400))
    Index(recording.dir, SEGMENT).refresh(LATENCY_FILE)
    file = recording.dir / "state" / "index" / "history.db"
    file.write_bytes(damage)
    index = Index(recording.dir, SEGMENT)
    assert index.refresh(LATENCY_FILE) == 1
    assert dumped(index) == dumped(fresh(recording.dir))


def test_where_the_session_cannot_be_written_the_index_is_elsewhere(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.aligned([]).write_bytes(rows_of(Random(9), 400))
    (recording.dir / "state").write_text("a file where a folder should be")
    index = Index(recording.dir, SEGMENT)
    assert index.refresh(LATENCY_FILE) == 1
    with index.connected() as connection:
        (path,) = [row[2] for row in connection.execute("PRAGMA database_list")]
    assert recording.dir not in Path(path).parents
    assert LatencyHistory(index).pairs()[PAIR].frames > 0
    index.close()
    assert not Path(path).exists()


def test_a_session_that_is_deleted_is_not_made_again(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.aligned([]).write_bytes(rows_of(Random(10), 400))
    index = Index(recording.dir, SEGMENT)
    index.refresh(LATENCY_FILE)
    shutil.rmtree(recording.dir)
    assert index.refresh(LATENCY_FILE) == 1
    assert LatencyHistory(index).pairs() == {}
    assert not recording.dir.exists()
