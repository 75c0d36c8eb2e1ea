"""The logger's database: continued, in time, and nothing lost whatever keeps it from being written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pimon.logger_store import MOST_WAITING, Sample, Store, Unusable
from support.isolation import in_namespace
from support.logger_databases import SCHEMAS, asked, original, sound
from support.tree import REPOSITORY

NS = 1_000_000_000
T0_S = 1_763_800_000


def sample(second: float, watts: float | None = -3.0, **more: float | None) -> Sample:
    system = {"voltage": 7.5, "current": -0.4, "power": watts, "battery_pct": 80.0, "cpu_total": 25.0}
    system |= {"cpu_freq": 1500.0, "load1": 0.5, "load5": 0.4, "load15": 0.3, **more}
    processes = [(1, "init", 0.5, 0.1), (77, "cc1", 99.0, 3.5)]
    return Sample(T0_S * NS + int(second * NS), system, [(0, 20.0), (1, 30.0)], processes)


class Log:
    """A store with what it said."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        self.store = Store(path, "bench", self.said.append, lock_wait_s=0.05)


def test_a_sample_is_a_row_group_with_its_true_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "t.db")
    assert log.store.write(sample(1.25)) == T0_S + 1
    log.store.close()
    key = T0_S + 1
    assert asked(tmp_path / "t.db", "SELECT * FROM system_sample") == [
        (key, 7.5, -0.4, -3.0, 80.0, 25.0, 1500.0, 0.5, 0.4, 0.3, key * NS + NS // 4, "bench", None, 0)
    ]
    assert asked(tmp_path / "t.db", "SELECT * FROM cpu_core") == [(key, 0, 20.0), (key, 1, 30.0)]
    assert asked(tmp_path / "t.db", "SELECT * FROM process_sample") == [
        (key, 1, "init", 0.5, 0.1),
        (key, 77, "cc1", 99.0, 3.5),
    ]
    assert asked(tmp_path / "t.db", "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize(
    ("current", "drain", "charge"),
    [(-0.6, 10.0, 0.0), (0.6, 0.0, 10.0), (0.0, 0.0, 0.0), (None, None, None)],
)
def test_the_view_says_what_leaves_and_what_enters(
    tmp_path: Path, current: float | None, drain: float | None, charge: float | None
) -> None:
    log = Log(tmp_path / "t.db")
    log.store.write(sample(1, watts=-4.5, current=current))
    log.store.close()
    columns = "watts, drain_mah_per_min, charge_mah_per_min"
    assert asked(tmp_path / "t.db", f"SELECT {columns} FROM training_view") == [(4.5, drain, charge)]


def test_the_view_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    log = Log(tmp_path / "t.db")
    log.store.open()
    log.store.close()
    assert [row[1] for row in asked(tmp_path / "t.db", "PRAGMA table_info(training_view)")] == [
        *("ts", "cpu_total", "cpu_freq", "load1", "load5", "load15", "voltage", "current", "power", "battery_pct"),
        *("watts", "drain_mah_per_min", "charge_mah_per_min"),
    ]


def test_two_samples_of_one_second_move_the_key_never_the_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "t.db")
    keys = [log.store.write(sample(second)) for second in (1.0, 1.4, 1.8, 9.0)]
    log.store.close()
    assert keys == [T0_S + 1, T0_S + 2, T0_S + 3, T0_S + 9]
    times = [ns for (ns,) in asked(tmp_path / "t.db", "SELECT ts_ns FROM system_sample ORDER BY ts")]
    assert times == [sample(second).ts_ns for second in (1.0, 1.4, 1.8, 9.0)]
    assert log.said == []


def test_a_clock_that_steps_back_is_said_once_and_the_keys_still_rise(tmp_path: Path) -> None:
    log = Log(tmp_path / "t.db")
    seconds = [100.0, 105.0, 10.0, 15.0, 20.0]
    keys = [log.store.write(sample(second)) for second in seconds]
    log.store.close()
    assert keys == [T0_S + s for s in (100, 105, 106, 107, 108)]
    assert [ns for (ns,) in asked(tmp_path / "t.db", "SELECT ts_ns FROM system_sample ORDER BY ts")] == [
        sample(second).ts_ns for second in seconds
    ]
    (line,) = log.said
    assert "96 s before the newest sample" in line


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_database_of_the_original_logger_is_continued(tmp_path: Path, schema: str) -> None:
    path = original(tmp_path / "t.db", SCHEMAS[schema], [T0_S, T0_S + 5])
    log = Log(path)
    log.store.write(sample(10))
    log.store.close()
    found = asked(path, "SELECT ts, watts, battery_pct, drain_mah_per_min FROM training_view ORDER BY ts")
    old_drain = pytest.approx(20 / 3)
    assert found == [
        (T0_S, 3.0, None, old_drain),
        (T0_S + 5, 3.0, None, old_drain),
        (T0_S + 10, 3.0, 80.0, old_drain),
    ]
    assert asked(path, "SELECT COUNT(*) FROM process_sample WHERE name = '/sbin/init splash'") == [(2,)]
    assert sound(path)


def test_what_belongs_to_a_deleted_sample_goes_with_it(tmp_path: Path) -> None:
    path = original(tmp_path / "t.db", SCHEMAS["plain"], [T0_S])
    log = Log(path)
    log.store.write(sample(5))
    log.store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM system_sample")
    assert asked(path, "SELECT * FROM cpu_core UNION SELECT ts, pid, cpu FROM process_sample") == []


def test_a_locked_database_is_waited_for_and_every_sample_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    log = Log(path)
    log.store.write(sample(0))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert [log.store.write(sample(second)) for second in (5, 10, 15)] == [None] * 3
    assert log.store.waiting == 3
    other.execute("ROLLBACK")
    other.close()
    assert log.store.write(sample(20)) == T0_S + 20
    log.store.close()
    assert [ts - T0_S for (ts,) in asked(path, "SELECT ts FROM system_sample ORDER BY ts")] == [0, 5, 10, 15, 20]
    first, last = log.said
    assert "locked" in first and "nothing was lost" in last


def test_a_database_locked_at_the_start_is_opened_later(tmp_path: Path) -> None:
    path = original(tmp_path / "t.db", SCHEMAS["plain"], [T0_S])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    log = Log(path)
    log.store.open()
    assert log.store.write(sample(5)) is None
    other.execute("ROLLBACK")
    other.close()
    assert log.store.write(sample(10)) == T0_S + 10
    log.store.close()
    assert asked(path, "SELECT COUNT(*) FROM system_sample") == [(3,)]


def test_what_is_too_much_to_wait_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    log = Log(path)
    log.store.open()
    log.store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.store._lock_wait_s = 0.0
    for second in range(MOST_WAITING + 3):
        log.store.write(sample(second))
    other.execute("ROLLBACK")
    other.close()
    log.store.flush()
    log.store.close()
    assert asked(path, "SELECT COUNT(*), MIN(ts) FROM system_sample") == [(MOST_WAITING, T0_S + 3)]
    assert "3 samples were lost" in log.said[-1]


@pytest.mark.parametrize("content", [b"this is no database\n" * 50, b"\x00" * 4096], ids=["text", "zeros"])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(content)
    with pytest.raises(Unusable, match="found no SQLite database") as refused:
        Log(path).store.open()
    assert str(path) in str(refused.value)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["t.db"]


def test_a_damaged_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = original(tmp_path / "t.db", SCHEMAS["plain"], range(T0_S, T0_S + 2000))
    data = path.read_bytes()
    broken = data[:4096] + b"\xff" * (len(data) - 4096)
    path.write_bytes(broken)
    log = Log(path)
    with pytest.raises(Unusable, match=r"damaged.*recover"):
        log.store.write(sample(5000))
    assert path.read_bytes()[4096:] == broken[4096:]


def test_a_table_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE system_sample (ts INTEGER PRIMARY KEY, note TEXT)")
    with pytest.raises(Unusable, match=r"without voltage, current, .* expected that of a telemetry logger"):
        Log(tmp_path / "t.db").store.open()
    assert asked(tmp_path / "t.db", "SELECT name FROM sqlite_master") == [("system_sample",)]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"found no folder .*/nowhere, expected one"):
        Log(tmp_path / "nowhere" / "t.db").store.open()


def test_a_database_deleted_while_it_is_written_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    log = Log(path)
    log.store.write(sample(0))
    for file in tmp_path.iterdir():
        file.unlink()
    log.store.write(sample(5))
    log.store.close()
    assert asked(path, "SELECT ts FROM system_sample") == [(T0_S + 5,)]
    assert "deleted or replaced" in log.said[0]


def test_a_sample_that_the_tables_refuse_does_not_hold_up_the_others(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    log = Log(path)
    log.store.write(sample(0, cpu_total=None))
    assert log.store.write(sample(5)) == T0_S + 5
    log.store.close()
    assert asked(path, "SELECT ts FROM system_sample") == [(T0_S + 5,)]
    assert "a sample is left out" in log.said[0]


def test_two_loggers_on_one_database_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    first, second = Log(path), Log(path)
    keys = [log.store.write(sample(5)) for _ in range(3) for log in (first, second)]
    assert keys == [T0_S + 5 + i for i in range(6)]
    first.store.close()
    second.store.close()


READ_ONLY = """
import sys
from pathlib import Path
from pimon.logger_store import Store, Unusable

try:
    Store(Path(sys.argv[1]) / "t.db", "bench", print).open()
except Unusable as error:
    print(error)
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_a_read_only_place_is_one_clear_error(tmp_path: Path, is_there: bool) -> None:
    place = tmp_path / "place"
    place.mkdir()
    if is_there:
        original(place / "t.db", SCHEMAS["plain"], [T0_S])
    done = in_namespace(f"mount --bind {place} {place} && mount -o remount,ro,bind {place}", READ_ONLY, place)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{place}/t.db: ") and "may write" in line


FULL = """
import os, sys
from pathlib import Path

sys.path += [sys.argv[2], sys.argv[2] + "/pimon"]
from pimon.logger_store import Store
from test_logger_store import T0_S, sample
from support.logger_databases import asked, sound

place = Path(sys.argv[1])
said = []
store = Store(place / "t.db", "bench", said.append)
store.open()
(place / "filler").write_bytes(os.urandom(2_000_000))
second = 0
while store.why is None:
    store.write(sample(second))
    second += 1
    assert second < 100_000
for second in range(second, second + 5):
    assert store.write(sample(second)) is None
(place / "filler").unlink()
store.write(sample(second + 1))
store.close()
keys = [ts - T0_S for (ts,) in asked(place / "t.db", "SELECT ts FROM system_sample ORDER BY ts")]
assert keys == list(range(second + 2)), keys
assert sound(place / "t.db")
print(*said, sep="\\n")
"""


def test_a_full_disk_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    setup = f"mount -t tmpfs -o size=3m none {place}"
    done = in_namespace(setup, FULL, place, REPOSITORY / "tests")
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert "full" in first or "I/O error" in first
    assert "nothing was lost" in last
