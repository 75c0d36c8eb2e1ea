"""What goes when, and what never."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchlab.errors import Exit, Fault
from benchlab.files import FileLock
from benchlab.session import list_sessions
from retentiond import trash
from retentiond.report import Report
from support.isolation import in_namespace
from support.old_sessions import LINE, NOW_NS, Old, content, point_current, timestamp

Trim = Callable[..., Report]


def test_raw_and_quarantine_go_by_their_days_and_the_rest_by_its_own(tmp_path: Path, trim: Trim) -> None:
    young, middle, old = (Old(tmp_path, name, age) for name, age in (("a", 6.9), ("b", 7.1), ("c", 90.1)))
    (middle.dir / "quarantine" / "pipeline.jsonl").write_text("{}\n")
    before = young.content(), middle.content()
    report = trim()
    assert young.content() == before[0]
    assert middle.content() == {k: v for k, v in before[1].items() if not k.startswith(("raw/", "quarantine/"))}
    assert not old.dir.exists()
    assert [f.session for f in report.sessions] == ["c"]
    assert [f.session for f in report.raw_folders] == ["b"]
    assert report.by_reason() == {"within its days": 2}
    assert report.code == Exit.OK


def test_freed_bytes_are_those_the_disk_got_back(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "c", 91, lines=1000)
    other_name = tmp_path / "kept.jsonl"
    other_name.hardlink_to(old.latency)
    expected = trash.space_of(old.dir)
    assert expected >= old.raw.stat().st_size
    assert expected < old.raw.stat().st_size + old.latency.stat().st_size
    assert trim().freed_bytes == expected
    assert other_name.stat().st_size


def test_session_called_dev_is_as_old_as_its_description_says(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 91)
    assert trim().code == Exit.OK
    assert not old.dir.exists()


def test_without_a_description_the_name_tells_the_age_then_the_folder(tmp_path: Path, trim: Trim) -> None:
    named = Old(tmp_path, timestamp(91), 0).bare()
    dated = Old(tmp_path, "copied", 0).bare(91)
    young = Old(tmp_path, "copied-lately", 0).bare(3)
    trim()
    assert [s.dir.exists() for s in (named, dated, young)] == [False, False, True]


def test_bare_session_whose_raw_went_keeps_its_age_and_goes_in_its_turn(tmp_path: Path, trim: Trim) -> None:
    bare = Old(tmp_path, "copied", 0).bare(30)
    trim()
    assert not bare.has_raw and bare.latency.exists()
    (session,) = list_sessions(tmp_path)
    assert session.is_bare and session.born_ns == bare.dir.stat().st_mtime_ns < NOW_NS - 29 * 86_400 * 10**9
    trim(days=29)
    assert not bare.dir.exists()


def test_current_session_stays_however_old(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 500)
    point_current(tmp_path, "dev")
    before = old.content()
    assert trim().by_reason() == {"current": 1}
    assert old.content() == before


@pytest.mark.parametrize("lock", ["mux.lock", "telemetry.lock", "sinks/sqlite.lock"])
def test_session_with_a_held_lock_stays_and_its_holder_is_named(tmp_path: Path, trim: Trim, lock: str) -> None:
    old = Old(tmp_path, "dev", 500)
    path = old.dir / "state" / lock
    path.parent.mkdir(exist_ok=True)
    before = old.content()
    with FileLock(path, "muxd"):
        report = trim()
    assert report.kept["dev"].reason == "being written"
    assert str(os.getpid()) in report.kept["dev"].detail
    assert old.content() == before
    trim()
    assert not old.dir.exists()  # a lock file that nobody holds protects nothing


def test_writer_that_comes_while_we_look_is_seen_before_the_rename(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 500)
    locks: list[FileLock] = []

    def writer_comes(session: object, stays: bool) -> list[str]:
        if not locks:
            locks.append(FileLock(old.dir / "state" / "telemetry.lock", "telemetryd"))
            locks[0].acquire()
        return []

    assert trim(by_sinks=writer_comes).by_reason() == {"being written": 1}
    locks[0].release()
    assert old.has_raw


def test_nobody_can_begin_to_write_what_is_being_deleted(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 500)
    refused = []

    def remove(path: Path) -> None:
        with pytest.raises(Fault) as fault:
            FileLock(path / "state" / "mux.lock", "muxd").acquire(wait_s=0)
        refused.append(fault.value.message)
        trash.remove(path)

    trim(remove=remove)
    assert refused and "retentiond" in refused[0]
    assert not old.dir.exists()


def test_pinned_session_stays_and_so_does_one_pinned_while_we_look(tmp_path: Path, trim: Trim) -> None:
    pinned = Old(tmp_path, "a", 500, pinned=True)
    late = Old(tmp_path, "b", 500)

    def pin(session: object, stays: bool) -> list[str]:
        late.describe(500, pinned=True)
        return []

    assert trim(by_sinks=pin).by_reason() == {"pinned": 2}
    assert pinned.has_raw and late.has_raw


def never_muxed(old: Old) -> None:
    (old.dir / "state" / "mux.json").unlink()


def grown(old: Old) -> None:
    old.raw.write_bytes(old.raw.read_bytes() + LINE)


def cut(old: Old) -> None:
    old.raw.write_bytes(LINE)


def another_stream(old: Old) -> None:
    (old.dir / "raw" / "telemetry.jsonl").write_bytes(LINE)


def damaged_checkpoint(old: Old) -> None:
    (old.dir / "state" / "mux.json").write_text('{"version":1,')


def aligned_lost(old: Old) -> None:
    old.latency.unlink()


def rebuilding(old: Old) -> None:
    old.muxed(rebuilding=True)


@pytest.mark.parametrize("age", [30, 500])
@pytest.mark.parametrize(
    "damage", [never_muxed, grown, cut, another_stream, damaged_checkpoint, aligned_lost, rebuilding]
)
def test_raw_data_that_aligned_files_lack_stays(
    tmp_path: Path, trim: Trim, damage: Callable[[Old], None], age: int
) -> None:
    old = Old(tmp_path, "dev", age)
    damage(old)
    before = old.content()
    report = trim()
    assert report.kept["dev"].reason == "not muxed"
    assert "mux" in report.kept["dev"].detail
    assert old.content() == before


def test_open_session_keeps_its_raw_for_muxd_would_begin_its_aligned_files_anew(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 30, closed=False)
    old.muxed(final=False)
    report = trim()
    assert old.has_raw
    assert "benchctl session close dev" in report.kept["dev"].detail
    trim(days=29)
    assert not old.dir.exists()  # with the aligned files gone as well, there is nothing to begin anew


def test_closed_session_that_is_not_final_keeps_its_raw(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 30)
    old.muxed(final=False)
    assert trim().kept["dev"].detail.endswith("muxd --session dev --once")
    assert old.has_raw


def test_last_line_torn_by_a_crash_does_not_keep_raw_for_ever(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 30)
    old.raw.write_bytes(old.raw.read_bytes() + LINE[:20])
    assert trim().by_reason() == {"within its days": 1}
    assert not old.has_raw


def test_session_that_recorded_nothing_needs_no_muxing(tmp_path: Path, trim: Trim) -> None:
    empty = Old(tmp_path, "dev", 91, lines=0, closed=False)
    never_muxed(empty)
    trim()
    assert not empty.dir.exists()


def test_what_a_sink_lacks_stays_and_says_what(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 500)
    report = trim(by_sinks=lambda session, stays: ["influx is 3 bytes behind"])
    assert report.kept["dev"].reason == "not in every sink"
    assert report.kept["dev"].detail == "influx is 3 bytes behind"
    assert old.has_raw


def test_unreadable_description_may_hide_a_pin_and_is_a_finding(tmp_path: Path, trim: Trim) -> None:
    broken, fine = Old(tmp_path, timestamp(500), 0), Old(tmp_path, "fine", 500)
    (broken.dir / "session.json").write_text('{"id":')
    before = broken.content()
    report = trim()
    assert (report.by_reason(), report.code) == ({"unreadable": 1}, Exit.FINDING)
    assert broken.content() == before
    assert not fine.dir.exists()


def test_session_that_cannot_be_deleted_is_told_and_the_rest_goes_on(tmp_path: Path, trim: Trim) -> None:
    stuck, fine = Old(tmp_path, "a", 500), Old(tmp_path, "b", 400)

    def remove(path: Path) -> None:
        if path.name == ".a.deleting":
            raise PermissionError(1, "Operation not permitted", str(path / "raw"))
        trash.remove(path)

    report = trim(remove=remove)
    assert not fine.dir.exists() and not stuck.dir.exists()
    assert report.code == Exit.FINDING
    (finding,) = report.findings()
    assert finding.startswith("a cannot be deleted: ") and finding.endswith("/.a.deleting/raw: Operation not permitted")
    assert [s.name for s in list_sessions(tmp_path)] == []
    assert trim().code == Exit.OK  # the next run gets rid of what was left
    assert not list((tmp_path / "sessions").iterdir())


def test_new_session_of_the_same_name_can_go_while_the_rest_of_the_old_one_is_stuck(tmp_path: Path, trim: Trim) -> None:
    def stuck(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    for _ in range(3):
        Old(tmp_path, "dev", 500)
        trim(remove=stuck)
        assert list_sessions(tmp_path) == []
    assert trim().freed_bytes > 0
    assert not list((tmp_path / "sessions").iterdir())


def test_links_are_deleted_and_what_they_lead_to_is_not(tmp_path: Path, trim: Trim) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.jsonl").write_bytes(b"")
    (elsewhere / "notes.txt").write_text("mine")
    old = Old(tmp_path, "dev", 500)
    (old.dir / "aligned" / "more").symlink_to(elsewhere)
    (old.dir / "aligned" / "notes.txt").symlink_to(elsewhere / "notes.txt")
    old.raw.unlink()
    old.raw.parent.rmdir()
    old.raw.parent.symlink_to(elsewhere)
    outside = Old(tmp_path / "other", "outside", 500)
    (tmp_path / "sessions" / "linked").symlink_to(outside.dir)
    before = content(elsewhere), outside.content()
    trim()
    assert not old.dir.exists()
    assert (content(elsewhere), outside.content()) == before


def test_raw_that_is_a_link_is_not_trimmed(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 30)
    elsewhere = tmp_path / "elsewhere"
    old.raw.parent.rename(elsewhere)
    (old.dir / "raw").symlink_to(elsewhere)
    report = trim()
    assert (elsewhere / "pipeline.jsonl").exists() and (old.dir / "raw").is_symlink()
    assert report.raw_folders == []


def test_leftover_that_is_a_link_is_left_alone(tmp_path: Path, trim: Trim) -> None:
    elsewhere = Old(tmp_path / "other", "dev", 500)
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / ".dev.deleting").symlink_to(elsewhere.dir)
    before = elsewhere.content()
    trim()
    assert elsewhere.content() == before


def test_broken_link_current_is_told_and_protects_nothing_else(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", 500)
    point_current(tmp_path, "../dev")
    report = trim()
    assert not old.dir.exists()
    assert report.code == Exit.FINDING and "expected the name of a session" in report.failed["current"]


def test_session_from_the_future_is_young(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "dev", -4000)
    assert trim().by_reason() == {"within its days": 1}
    assert old.has_raw


MOUNTED = """
import sys
from pathlib import Path
from retentiond.trimmer import Policy, Trimmer
report = Trimmer(Path(sys.argv[1]), Policy(90, 7), lambda session, stays: []).run()
print(*report.findings(), sep="\\n")
raise SystemExit(report.code)
"""


@pytest.mark.parametrize("where", ["", "aligned/more"])
def test_nothing_that_is_mounted_in_a_session_is_emptied(tmp_path: Path, where: str) -> None:
    mounted, fine = Old(tmp_path, "mounted", 50_000), Old(tmp_path, "fine", 50_000)
    outside = tmp_path / "with space"
    outside.mkdir()
    (outside / "notes.txt").write_text("mine")
    (mounted.dir / where).mkdir(exist_ok=True)
    if not where:
        (outside / "session.json").write_bytes((mounted.dir / "session.json").read_bytes())
    setup = f"mount --bind '{outside}' '{mounted.dir / where}'"
    done = in_namespace(setup, MOUNTED, tmp_path)
    assert done.returncode == Exit.FINDING, done.stderr
    assert "another file system is mounted at" in done.stdout
    assert (outside / "notes.txt").read_text() == "mine"
    assert not fine.dir.exists()
    assert mounted.dir.exists()
