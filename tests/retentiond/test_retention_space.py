"""Low disk: what is oldest goes before its time, as little of it as will do, and never what is protected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchlab.errors import Exit
from retentiond.report import Report
from retentiond.trash import space_of
from support.old_sessions import Old

Trim = Callable[..., Report]

DISK_BYTES = 10_000_000


def free_bytes(root: Path) -> int:
    """Return what a small disk has left."""
    return DISK_BYTES - space_of(root)


def test_with_space_enough_nothing_goes_early(tmp_path: Path, trim: Trim) -> None:
    old = Old(tmp_path, "a", 5)
    report = trim(min_free=1000, free_bytes=free_bytes)
    assert old.has_raw and report.free_bytes == free_bytes(tmp_path / "sessions")
    assert report.code == Exit.OK


def test_oldest_raw_goes_first_and_no_more_than_needed(tmp_path: Path, trim: Trim) -> None:
    made = [Old(tmp_path, f"s{age}", age, lines=2000) for age in (6, 5, 4, 3)]
    one = space_of(made[0].dir / "raw")
    missing = one + one // 2
    report = trim(min_free=free_bytes(tmp_path / "sessions") + missing, free_bytes=free_bytes)
    assert [old.has_raw for old in made] == [False, False, True, True]
    assert [(f.session, f.early) for f in report.raw_folders] == [("s6", True), ("s5", True)]
    assert report.code == Exit.OK and not report.sessions


def test_sessions_go_when_there_is_no_raw_left_to_go(tmp_path: Path, trim: Trim) -> None:
    made = [Old(tmp_path, f"s{age}", age, lines=2000) for age in (6, 5, 4)]
    raw = sum(space_of(old.dir / "raw") for old in made)
    report = trim(min_free=free_bytes(tmp_path / "sessions") + raw + 1, free_bytes=free_bytes)
    assert [old.has_raw for old in made] == [False, False, False]
    assert [old.dir.exists() for old in made] == [False, True, True]
    assert any("before its time" in line for line in report.lines())


def test_protected_sessions_stay_on_a_full_disk_and_the_lack_is_a_finding(tmp_path: Path, trim: Trim) -> None:
    made = [Old(tmp_path, "pinned", 5, pinned=True), Old(tmp_path, "plain", 5)]
    report = trim(min_free=DISK_BYTES * 2, free_bytes=free_bytes)
    assert [old.has_raw for old in made] == [True, False]
    assert report.code == Exit.FINDING
    (finding,) = report.findings()
    assert "nothing is left that may be deleted" in finding and "20.0 MB" in finding


def test_what_went_by_age_counts_before_anything_goes_early(tmp_path: Path, trim: Trim) -> None:
    due, young = Old(tmp_path, "due", 100, lines=2000), Old(tmp_path, "young", 1)
    report = trim(min_free=free_bytes(tmp_path / "sessions") + 1, free_bytes=free_bytes)
    assert not due.dir.exists() and young.has_raw
    assert report.code == Exit.OK
